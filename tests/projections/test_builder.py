"""The same events give the same dataset, and every row says which events it came from."""

from collections import Counter
from pathlib import Path
from random import Random
from uuid import UUID, uuid5

import msgspec
import pytest

from adapters.storage.memory import MemoryLedger
from commands.ports import Damaged
from domain.errors import Refused
from domain.events import NO_HASH, Recorded
from projections.builder import Builder, Dataset, Spec, build, load_spec, split_of
from projections.rows import Row, dataset_root, decode, encode
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
    assert first.root == dataset_root(first.encoded)
    assert first.head_sha256 == ward.events[-1].hash
    assert len(first.rows) == 6


async def test_the_order_in_which_cases_are_read_does_not_matter(ward: CopiedLedger) -> None:
    root = (await build(ward, ALL)).root
    by_subject: dict[str, list[Recorded]] = {}
    for recorded in ward.events:
        by_subject.setdefault(recorded.envelope.subject, []).append(recorded)
    for seed in range(5):
        histories = list(by_subject.values())
        Random(seed).shuffle(histories)
        builder = Builder(ALL)
        for history in histories:
            for recorded in history:
                builder.see(recorded)
        assert dataset_root([encode(row) for row in builder.rows()]) == root


@pytest.mark.parametrize("shards", [1, 2, 7, 64])
async def test_the_number_of_shards_does_not_matter(ward: CopiedLedger, shards: int) -> None:
    builders = [Builder(ALL) for _ in range(shards)]
    for recorded in ward.events:
        builders[recorded.aggregate_id.int % shards].see(recorded)
    merged = sorted(row.case for builder in builders for row in builder.rows())
    rows = {row.case: row for builder in builders for row in builder.rows()}
    encoded = [encode(rows[case]) for case in merged]
    assert dataset_root(encoded) == (await build(ward, ALL)).root


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


async def test_what_was_overruled_does_not_count(ledger: MemoryLedger, given: Given) -> None:
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
        "label-revised",
    ]
    assert row.context == {"af": "no"}
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
    patients = [uuid5(UUID(int=0), str(number)) for number in range(4000)]
    splits = Counter(split_of(patient, "ictus") for patient in patients)
    assert abs(splits["train"] - 2800) < 120
    assert abs(splits["validation"] - 600) < 90
    assert any(split_of(patient, "a") != split_of(patient, "b") for patient in patients)


def test_the_split_of_a_patient_is_decided_for_ever() -> None:
    """Changing this rule would move patients between training and test: bump the projector."""
    patient = UUID("b39a1a2e-5a92-4f5e-8b1a-3f0f3a5b7c11")
    splits = [split_of(patient, salt) for salt in ("ictus", "1", "2", "3")]
    assert splits == ["validation", "train", "test", "train"]


def test_a_spec_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text('name = "labelled"\nlabel_levels = [2, 3]\n', encoding="utf-8")
    assert load_spec(file) == Spec(name="labelled", label_levels=(2, 3))
    assert load_spec(file).sha256 != ALL.sha256
    file.write_text("label_level = 2\n", encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match="label_level"):
        load_spec(file)


async def test_nothing_a_person_typed_is_in_a_row(ward: CopiedLedger) -> None:
    for line in (await build(ward, ALL)).encoded:
        assert b"sealed words" not in line
        assert str(START.year).encode() + b"-" not in line
