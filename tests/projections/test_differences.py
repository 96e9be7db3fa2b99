"""Every difference between two datasets is explained by the events that made it, and by no others."""

import asyncio
from random import Random
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from adapters.storage.memory import MemoryLedger
from domain.case import ImageQuarantined
from domain.errors import Refused
from domain.events import Recorded
from projections.builder import build
from projections.differences import Difference, Differences, Side, View, differences
from projections.shard import WANTED, Shard
from projections.spec import Spec
from tests.givens import Given, sealed

HERE = Spec(hold_out_sites=("far",))
INSTRUMENTAL = Spec(label_levels=(2, 3))


async def between(ledger: MemoryLedger, a: int, b: int | None = None) -> Differences:
    head = (await ledger.head()).sequence
    found = await differences(ledger, Side(a), Side(head if b is None else b))
    assert found.unexplained == 0
    return found


def told(difference: Difference) -> tuple[str, tuple[str, ...], list[str]]:
    causes = [cause.type.split(".")[2] for cause in difference.causes]
    return difference.kind, difference.fields, causes


async def now(ledger: MemoryLedger) -> int:
    return (await ledger.head()).sequence


async def test_a_label_and_its_revision_explain_a_changed_row(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    since = await now(ledger)
    await given.labelled(case, "cardioembolic")
    await given.opinion(case)
    (first,) = (await between(ledger, since)).rows
    assert (first.case, told(first)) == (str(case), ("changed", ("label",), ["label-confirmed"]))
    await given.labelled(case, "large-artery", ("stenosis",))
    (both,) = (await between(ledger, since)).rows
    assert told(both) == ("changed", ("label", "history"), ["label-confirmed", "label-revised"])


async def test_a_new_row_is_explained_by_what_it_lacked_before(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.case(await given.person())
    since = await now(ledger)
    await given.ingested(case)
    await given.predicted(case)
    (added,) = (await between(ledger, since)).rows
    assert told(added) == ("added", (), ["image-ingested"])


async def test_a_withdrawn_case_is_removed_by_that_alone(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    since = await now(ledger)
    await given.labelled(case)
    await given.withdrawn(case)
    found = await between(ledger, since)
    assert [told(each) for each in found.rows] == [("removed", (), ["withdrawn"])]
    back = await between(ledger, await now(ledger), since)
    assert [told(each) for each in back.rows] == [("added", (), ["withdrawn"])]


async def test_an_erased_case_is_told_apart_before_its_erasure(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    first = await now(ledger)
    await given.context(case)
    second = await now(ledger)
    await given.erased(case)
    found = await between(ledger, first, second)
    assert [told(each) for each in found.rows] == [("changed", ("context",), ["context-given"])]
    for side, root in ((first, found.root_a), (second, found.root_b)):
        assert (await build(ledger, Spec(), side)).root == root


async def test_a_link_explains_that_the_later_case_moved(
    ledger: MemoryLedger, given: Given
) -> None:
    by = await given.person()
    one, two = await given.answered_case(by), await given.answered_case(by)
    since = await now(ledger)
    await given.linked(one, two)
    (moved,) = (await between(ledger, since)).rows
    kind, fields, causes = told(moved)
    assert (moved.case, kind) == (str(two), "changed")
    assert "patient" in fields
    assert causes == ["linked"]


async def test_a_near_duplicate_explains_that_the_later_case_moved_and_a_person_that_it_moved_back(
    ledger: MemoryLedger, given: Given
) -> None:
    by = await given.person()
    one, two = await given.answered_case(by), await given.answered_case(by)
    since = await now(ledger)
    await given.alike(two, one)
    joined = await now(ledger)
    (moved,) = (await between(ledger, since)).rows
    assert (moved.case, told(moved)[0]) == (str(two), "changed")
    assert "patient" in moved.fields
    assert [cause.type for cause in moved.causes] == ["ictus.case.near-duplicates-found.v1"]
    await given.apart(two, one)
    back = (await between(ledger, joined)).rows
    assert {"told-apart"} <= set(told(next(each for each in back if each.case == str(two)))[2])
    split = {row.case: row.split for row in (await build(ledger, Spec(), joined)).rows}
    assert split[str(one)] == split[str(two)]


async def test_an_image_ingested_anew_explains_a_changed_row_unless_the_spec_keeps_to_a_profile(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    since = await now(ledger)
    await given.reingested(case, "ingest-9:abc")
    (changed,) = (await between(ledger, since)).rows
    assert told(changed) == ("changed", ("images",), ["image-ingested"])
    head = await now(ledger)
    old, new = Spec(profile="ingest@1"), Spec(profile="ingest-9")
    kept = await differences(ledger, Side(since, old), Side(head, old))
    assert (kept.rows, kept.unchanged) == ((), 1)
    added = await differences(ledger, Side(since, new), Side(head, new))
    assert [told(each)[0] for each in added.rows] == ["added"]


async def test_an_image_refused_by_a_later_profile_leaves_the_newest_rows(
    ledger: MemoryLedger, given: Given
) -> None:
    case = await given.answered_case(await given.person())
    since = await now(ledger)
    item = next(iter((await given.state(case)).images))
    await given.on(
        case,
        ImageQuarantined(item=item, reason="text-remains", profile="ingest-9:a", original=sealed()),
    )
    (removed,) = (await between(ledger, since)).rows
    assert told(removed) == ("removed", (), ["image-quarantined"])
    assert len((await build(ledger, Spec(profile="ingest@1"))).rows) == 1


async def test_nothing_changed_between_a_dataset_and_itself(
    ledger: MemoryLedger, given: Given
) -> None:
    await given.ward(4)
    head = await now(ledger)
    found = await between(ledger, head)
    assert (found.rows, found.unchanged, found.root_a) == ((), 4, found.root_b)
    assert (await between(ledger, 0)).added == 4


async def test_another_spec_explains_rows_by_itself(ledger: MemoryLedger, given: Given) -> None:
    await given.ward(6)
    head = await now(ledger)
    found = await differences(ledger, Side(head), Side(head, INSTRUMENTAL))
    assert found.removed > 0
    assert found.unexplained == 0
    assert all(each.by_spec and not each.causes for each in found.rows)


async def test_a_moment_that_is_not_there_yet_is_refused(ledger: MemoryLedger) -> None:
    with pytest.raises(Refused):
        await differences(ledger, Side(0), Side(1))


# Any history at all

STEPS = (
    "case",
    "image",
    "ingested",
    "rejected",
    "context",
    "label",
    "split",
    "link",
    "out",
    "gone",
)


class Story:
    """Acts on cases by numbers, as long as the act can be."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.given = Given(self.ledger)
        self.cases: list[UUID] = []

    async def begin(self) -> None:
        self.people = [await self.given.person(site=site) for site in ("near", "far")]

    async def act(self, step: str, number: int) -> None:
        if step == "case" or not self.cases:
            site = ("near", "far")[number % 2]
            self.cases.append(await self.given.case(self.people[number % 2], site=site))
            return
        case = self.cases[number % len(self.cases)]
        other = self.cases[number // 7 % len(self.cases)]
        state = await self.given.state(case)
        if state.closed:
            return
        match step:
            case "image":
                await self.given.image(case)
            case "ingested":
                await self.given.ingested(case)
            case "rejected":
                await self.given.rejected(case)
            case "context":
                value = ("yes", "no")[number % 2]
                await self.given.context(case, ("af", "smoker")[number // 2 % 2], value)
            case "label":
                evidence = (("ecg",), ("clinical",))[number // 2 % 2]
                cause = ("cardioembolic", "large-artery")[number % 2]
                if state.label is None or (state.label.cause, state.label.evidence) != (
                    cause,
                    evidence,
                ):
                    await self.given.labelled(case, cause, evidence)
            case "split" if len(state.images) > 1:
                self.cases.append(await self.given.split(case, next(reversed(state.images))))
            case "link" if case != other:
                await self.given.linked(case, other)
            case "out":
                await self.given.withdrawn(case)
            case "gone":
                await self.given.erased(case)


def view(events: list[Recorded], until: int, spec: Spec) -> View:
    shard = Shard(until)
    shard.take((each.sequence, each.payload) for each in events if each.envelope.type in WANTED)
    return View(shard, spec)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 999)), max_size=40),
    spec=st.sampled_from([Spec(), HERE, INSTRUMENTAL]),
    seed=st.integers(0, 2**32),
)
def test_the_causes_and_nothing_else_make_the_difference(
    steps: list[tuple[str, int]], spec: Spec, seed: int
) -> None:
    asyncio.run(check(steps, spec, Random(seed)))


async def check(steps: list[tuple[str, int]], spec: Spec, random: Random) -> None:
    story = Story()
    await story.begin()
    for step in steps:
        await story.act(*step)
    events = [recorded async for recorded in story.ledger.read()]
    a, b = sorted(random.randint(0, len(events)) for _ in range(2))
    found = await differences(story.ledger, Side(a, spec), Side(b, spec))

    before, after = view(events[:a], a, spec), view(events[:b], b, spec)
    differing = [
        case for case in sorted(before.cases | after.cases) if before.row(case) != after.row(case)
    ]
    assert [each.case for each in found.rows] == differing
    assert found.unexplained == 0
    assert found.root_b == (await build(story.ledger, spec, b)).root
    for each in found.rows:
        made_by = {cause.sequence for cause in each.causes}
        enough = [one for one in events[:b] if one.sequence <= a or one.sequence in made_by]
        assert view(enough, b, spec).row(each.case) == after.row(each.case)
        for left_out in made_by if each.kind != "removed" else ():
            fewer = [one for one in enough if one.sequence != left_out]
            assert view(fewer, b, spec).row(each.case) != after.row(each.case)
