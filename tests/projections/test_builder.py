"""The same events give the same dataset, and every row says which events it came from."""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

import msgspec
import pytest

from adapters.storage.memory import MemoryLedger
from commands.ports import Damaged
from domain.errors import Refused
from domain.events import NO_HASH, Recorded
from projections.builder import Dataset, build
from projections.groups import groups, split_of
from projections.rows import Row, decode, encode, root_with
from projections.shard import WANTED, Shard
from projections.spec import Spec, load_spec
from tests.givens import START, Given
from tests.projections.copied import CopiedLedger

ALL = Spec()


async def row_of(ledger: MemoryLedger, case: UUID, as_of: int | None = None) -> Row:
    dataset = await build(ledger, ALL, as_of)
    return next(row for row in dataset.rows if row.case == str(case))


def events_of(row: Row, ledger: list[Recorded]) -> list[str]:
    """The names of the events a row came from; checks that ids and sequences belong together."""
    at = {recorded.sequence: recorded for recorded in ledger}
    assert all(str(at[sequence].id) == id_ for sequence, id_ in row.events)
    return [at[sequence].envelope.type.split(".")[2] for sequence, _ in row.events]


async def test_the_same_events_give_the_same_dataset(ward: CopiedLedger) -> None:
    first, second = await build(ward, ALL), await build(CopiedLedger(ward.events), ALL)
    assert first == second
    leaves = zip([row.case for row in first.rows], first.encoded, strict=True)
    assert first.root == root_with(leaves, ())
    assert first.head_sha256 == ward.events[-1].hash
    assert len(first.rows) == 6


async def test_the_order_in_which_cases_are_read_does_not_matter(ward: CopiedLedger) -> None:
    whole = (await build(ward, ALL)).encoded
    by_subject: dict[str, list[Recorded]] = {}
    for recorded in ward.events:
        by_subject.setdefault(recorded.envelope.subject, []).append(recorded)
    for seed in range(5):
        histories = list(by_subject.values())
        Random(seed).shuffle(histories)
        shard = Shard(len(ward.events))
        for history in histories:
            shard.take(
                (recorded.sequence, recorded.payload)
                for recorded in history
                if recorded.envelope.type in WANTED
            )
        leaves = shard.leaves(groups(shard.members(), ALL), ALL)
        assert [leaf.row for leaf in leaves] == whole


async def test_rows_are_canonical_and_sorted(ward: CopiedLedger) -> None:
    dataset = await build(ward, ALL)
    assert [row.case for row in dataset.rows] == sorted(row.case for row in dataset.rows)
    assert [encode(decode(line)) for line in dataset.encoded] == dataset.encoded
    assert all(b" " not in line for line in dataset.encoded)


async def test_a_row_names_the_events_that_made_it(ledger: MemoryLedger, given: Given) -> None:
    case = await given.answered_case(await given.person(), images=2)
    await given.context(case)
    await given.opinion(case)
    await given.labelled(case)
    row = await row_of(ledger, case)
    assert events_of(row, await ledger.load("case", case)) == [
        "opened",
        "image-submitted",
        "image-submitted",
        "image-ingested",
        "image-ingested",
        "context-given",
        "label-confirmed",
    ]
    assert row.context == {"af": "yes"}
    assert row.label is not None
    assert (row.label.cause, row.label.level, row.label.evidence) == ("cardioembolic", 2, ("ecg",))


async def test_an_overruled_label_is_history_an_overruled_answer_is_not(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    await given.context(case, value="yes")
    await given.context(case, value="no")
    await given.labelled(case, "cardioembolic")
    await given.labelled(case, "large-artery", ("stenosis",))
    await given.image(case)
    await given.rejected(case)
    row = await row_of(ledger, case)
    assert events_of(row, await ledger.load("case", case)) == [
        "opened",
        "image-submitted",
        "image-ingested",
        "context-given",
        "label-confirmed",
        "label-revised",
    ]
    assert row.context == {"af": "no"}
    assert row.label is not None
    assert (row.label.cause, [past.cause for past in row.history]) == (
        "large-artery",
        ["cardioembolic"],
    )
    assert len(row.images) == 1


async def test_images_stand_in_the_order_they_were_sent(ledger: MemoryLedger, given: Given) -> None:
    case = await given.answered_case(await given.person(), images=4)
    state = await given.state(case)
    row = await row_of(ledger, case)
    assert [image.sha256 for image in row.images] == [one.derivative for one in state.usable]
    assert {(image.width, image.height, image.channel) for image in row.images} == {(8, 8, "photo")}


async def test_an_image_that_left_is_in_the_other_row(ledger: MemoryLedger, given: Given) -> None:
    case = await given.answered_case(await given.person(), images=1)
    item = await given.image(case)
    await given.ingested(case)
    moved = (await given.state(case)).usable[1].derivative
    other = await given.split(case, item)
    await given.ingested(other)
    stayed, left = await row_of(ledger, case), await row_of(ledger, other)
    assert moved not in [image.sha256 for image in stayed.images]
    assert moved in [image.sha256 for image in left.images]
    assert events_of(stayed, await ledger.load("case", case))[-1] == "images-moved"
    assert stayed.patient != left.patient


async def test_a_case_without_a_usable_image_is_no_row(ledger: MemoryLedger, given: Given) -> None:
    by = await given.person()
    await given.case(by)
    await given.rejected(await given.case(by))
    await given.quarantined(await given.case(by))
    assert (await build(ledger, ALL)).rows == []


async def test_as_of_an_earlier_event_the_earlier_label_is_in_force(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    unlabelled = (await ledger.head()).sequence
    await given.labelled(case, "cardioembolic")
    early = await build(ledger, ALL)
    await given.labelled(case, "large-artery", ("stenosis",))
    late = await build(ledger, ALL)

    def causes(dataset: Dataset) -> list[str | None]:
        return [row.label.cause if row.label else None for row in dataset.rows]

    assert causes(await build(ledger, ALL, unlabelled)) == [None]
    assert causes(early) == ["cardioembolic"]
    assert causes(late) == ["large-artery"]
    assert await build(ledger, ALL, early.as_of) == early


async def test_an_event_that_is_not_there_yet_is_refused(ward: CopiedLedger) -> None:
    with pytest.raises(Refused, match=f"event {len(ward.events)}"):
        await build(ward, ALL, len(ward.events) + 1)


async def test_a_ledger_that_ends_too_early_is_refused(ward: CopiedLedger) -> None:
    class Lying(CopiedLedger):
        async def head(self):  # type: ignore[no-untyped-def]
            return await ward.head()

    with pytest.raises(Damaged):
        await build(Lying(ward.events[:-1]), ALL)


async def test_nothing_has_happened_yet(ledger: MemoryLedger) -> None:
    dataset = await build(ledger, ALL)
    assert (dataset.rows, dataset.as_of, dataset.head_sha256) == ([], 0, NO_HASH)


async def test_a_spec_keeps_the_levels_and_origins_it_lists(
    ledger: MemoryLedger, given: Given
) -> None:
    by = await given.person()
    instrumental = await given.answered_case(by)
    await given.labelled(instrumental, "cardioembolic", ("ecg",))
    working = await given.answered_case(by)
    await given.labelled(working, "large-artery", ("clinical",))
    unlabelled = await given.answered_case(by)
    imported = await given.case(by, origin="import")
    await given.ingested(imported)

    async def chosen(spec: Spec) -> set[str]:
        return {row.case for row in (await build(ledger, spec)).rows}

    demo = {str(instrumental), str(working), str(unlabelled)}
    assert await chosen(ALL) == {*demo, str(imported)}
    assert await chosen(Spec(label_levels=(2, 3))) == {str(instrumental)}
    assert await chosen(Spec(label_levels=(1, 2))) == {str(instrumental), str(working)}
    assert await chosen(Spec(origins=("demo",))) == demo


def test_splits_are_near_their_shares_and_follow_the_salt() -> None:
    cases = [uuid5(UUID(int=0), str(number)) for number in range(4000)]
    splits = Counter(split_of(case, "ictus") for case in cases)
    assert abs(splits["train"] - 2800) < 120
    assert abs(splits["validation"] - 600) < 90
    assert any(split_of(case, "a") != split_of(case, "b") for case in cases)


def test_the_split_by_a_case_is_decided_for_ever() -> None:
    """Changing this rule would move patients between training and test: bump the projector."""
    case = UUID("b39a1a2e-5a92-4f5e-8b1a-3f0f3a5b7c11")
    splits = [split_of(case, salt) for salt in ("ictus", "1", "2", "3")]
    assert splits == ["validation", "train", "test", "train"]


def test_a_spec_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('name = "labelled"\nlabel_levels = [2, 3]\n', encoding="utf-8")
    assert load_spec(file) == Spec(name="labelled", label_levels=(2, 3))
    assert load_spec(file).sha256 != ALL.sha256
    assert Spec(profile="ingest-2").sha256 != ALL.sha256
    file.write_text("label_level = 2\n", encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="label_level"):
        load_spec(file)


async def test_nothing_a_person_typed_is_in_a_row(ward: CopiedLedger) -> None:
    for line in (await build(ward, ALL)).encoded:
        assert b"sealed words" not in line
        assert str(START.year).encode() + b"-" not in line


async def test_a_withdrawn_case_has_no_row_from_then_on(ledger: MemoryLedger, given: Given) -> None:
    case = await given.answered_case(await given.person())
    before = await build(ledger, ALL)
    await given.withdrawn(case)
    after = await build(ledger, ALL)
    assert [len(dataset.rows) for dataset in (before, after)] == [1, 0]
    assert await build(ledger, ALL, before.as_of) == before


async def test_an_erased_row_leaves_a_tombstone_under_the_old_root(
    ledger: MemoryLedger, given: Given
) -> None:
    by = await given.person()
    case, other = await given.answered_case(by), await given.answered_case(by)
    before = await build(ledger, ALL)
    await given.erased(case)

    again = await build(ledger, ALL, before.as_of)
    assert again.root == before.root
    assert [row.case for row in again.rows] == [str(other)]
    assert [stone.case for stone in again.erased] == [str(case)]
    assert str(case).encode() not in b"".join(again.encoded)
    assert root_with([(str(other), again.encoded[0])], again.erased) == before.root

    now = await build(ledger, ALL)
    assert (len(now.rows), now.erased) == (1, ())


async def test_an_erased_case_that_had_no_row_leaves_nothing(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    unwanted, head = Spec(origins=("bot",)), (await ledger.head()).sequence
    await given.erased(case)
    assert (await build(ledger, unwanted, head)).erased == ()
    assert (await build(ledger, ALL, 3)).erased == ()


async def test_linked_cases_are_one_patient_from_then_on(
    ledger: MemoryLedger, given: Given
) -> None:
    by = await given.person()
    one, two = await given.answered_case(by), await given.answered_case(by)
    before = {row.case: row for row in (await build(ledger, ALL)).rows}
    await given.linked(two, one)
    after = {row.case: row for row in (await build(ledger, ALL)).rows}
    assert after[str(one)] == before[str(one)]
    joined = after[str(two)]
    assert (joined.patient, joined.split) == (after[str(one)].patient, after[str(one)].split)
    added = set(joined.events) - set(before[str(two)].events)
    told = {recorded.sequence: recorded for recorded in [r async for r in ledger.read()]}
    assert sorted(told[sequence].envelope.type for sequence, _ in added) == [
        "ictus.case.linked.v1",
        "ictus.case.opened.v1",
    ]


async def test_a_held_out_site_is_all_external(ledger: MemoryLedger, given: Given) -> None:
    here, there = await given.person(), await given.person(site="far")
    cases = [await given.answered_case(here) for _ in range(4)]
    far = await given.case(there, site="far")
    await given.ingested(far)
    spec = Spec(hold_out_sites=("far",))

    async def external() -> set[str]:
        return {row.case for row in (await build(ledger, spec)).rows if row.split == "external"}

    assert await external() == {str(far)}
    await given.linked(cases[0], far)
    assert await external() == {str(far), str(cases[0])}


def test_a_spec_without_a_profile_is_known_by_the_hash_it_always_had() -> None:
    words = b'{"hold_out_sites":[],"label_levels":[],"name":"all","origins":[],"salt":"ictus",'
    assert Spec().sha256 == sha256(words + b'"task":"ce-vs-laa"}').hexdigest()
