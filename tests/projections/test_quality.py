"""How fast and how right the answers were, and what was left out, from a real PostgreSQL."""

from uuid import UUID

import pytest

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from commands.ports import Unavailable
from domain.case import OpinionGiven
from domain.model import NAME as MODELS, Registered
from domain.stroke import Cause, Evidence
from projections import PROJECTIONS, quality
from projections.measures import Share, wilson
from projections.quality import Report
from projections.strata import DIMENSIONS, Dimension, Group
from tests.givens import MODEL, Given
from tests.projections.following import project

QUALITY = PROJECTIONS["quality"]
CE, LAA = "cardioembolic", "large-artery"


class Ward:
    """Tells stories and reports on them."""

    def __init__(self, ledger: MemoryLedger, given: Given, database: PostgresDatabase) -> None:
        self.ledger, self.given, self.database = ledger, given, database

    async def case(
        self,
        top: Cause = CE,
        label: Cause | None = None,
        evidence: tuple[Evidence, ...] = ("ecg",),
        *,
        images: int = 1,
        abstains: bool = False,
    ) -> UUID:
        by = await self.given.person()
        case = await self.given.answered_case(by, top, images, abstains)
        if label:
            await self.given.labelled(case, label, evidence)
        return case

    async def declined(self, label: Cause | None = None) -> UUID:
        case = await self.given.case(await self.given.person())
        await self.given.ingested(case)
        await self.given.declined(case)
        if label:
            await self.given.labelled(case, label)
        return case

    async def report(self, *by: Dimension) -> Report:
        await project(self.ledger, self.database, QUALITY)
        async with self.database.acquire() as db:
            return await quality.report(db, by)


@pytest.fixture
def ward(ledger: MemoryLedger, given: Given, database: PostgresDatabase) -> Ward:
    return Ward(ledger, given, database)


async def test_a_report_waits_for_the_projection(database: PostgresDatabase) -> None:
    with pytest.raises(Unavailable):
        async with database.acquire() as db:
            await quality.report(db)


async def test_nothing_is_claimed_of_nothing(ward: Ward) -> None:
    found, nothing = await ward.report(*DIMENSIONS), Share(0, 0, 0.0, 1.0)
    assert (found.sequence, found.cases, found.groups) == (0, 0, ())
    assert found.labelled == found.instrumental == found.everything.abstained == nothing
    assert found.readers.second.kappa is found.everything.seconds_p50 is None


async def test_a_report_says_how_far_it_reaches(ward: Ward, ledger: MemoryLedger) -> None:
    await ward.case()
    assert (await ward.report()).sequence == (await ledger.head()).sequence


async def test_imported_cases_which_nobody_answers_say_nothing_of_the_answers(ward: Ward) -> None:
    imported = await ward.given.case(await ward.given.person(), origin="import")
    await ward.given.labelled(imported, CE, ("ecg",))
    await ward.case(CE, CE)
    found = await ward.report()
    assert (found.cases, found.labelled) == (1, wilson(1, 1))


async def test_labels_cover_cases_with_and_without_an_answer(ward: Ward) -> None:
    waiting = await ward.given.case(await ward.given.person())
    await ward.given.labelled(waiting, CE, ("ecg",))
    await ward.case(CE, LAA, ("clinical",))
    await ward.case(CE)
    found = await ward.report()
    assert (found.cases, found.everything.cases) == (3, 2)
    assert (found.labelled, found.instrumental) == (wilson(2, 3), wilson(1, 3))


async def test_what_was_said_is_counted_by_name(ward: Ward) -> None:
    for top in (CE, CE, LAA):
        await ward.case(top)
    await ward.case(abstains=True)
    await ward.declined()
    found = (await ward.report()).everything
    assert found.said == {"abstained": 1, CE: 2, LAA: 1, "not-applicable": 1}
    assert (found.cases, found.answered, found.abstained) == (5, 3, wilson(1, 5))


async def test_sensitivity_leaves_out_by_name_what_says_nothing_of_it(ward: Ward) -> None:
    for top, label in ((CE, CE), (CE, CE), (LAA, CE), (CE, LAA), (LAA, LAA), (CE, "small-vessel")):
        await ward.case(top, label)
    await ward.case(CE, CE, abstains=True)
    await ward.declined(CE)
    await ward.case(CE, "undetermined-negative")
    await ward.case(CE, CE, ("clinical",))
    found = (await ward.report()).everything
    ce, laa = found.accuracy
    assert (ce.sensitivity, ce.specificity) == (wilson(2, 3), wilson(1, 3))
    assert (ce.precision, ce.recall) == (wilson(2, 4), wilson(2, 3))
    assert (laa.sensitivity, laa.specificity) == (wilson(1, 2), wilson(3, 4))
    assert found.left_out == {"abstained": 1, "not-applicable": 1, "undetermined": 1}
    assert found.labelled == wilson(9, 10)
    assert found.agreement.observed == wilson(3, 6)


async def test_each_level_of_label_stands_by_itself(ward: Ward) -> None:
    await ward.case(CE, CE, ("ecg",))
    await ward.case(CE, LAA, ("clinical",))
    await ward.case(LAA, LAA, ("clinical",))
    await ward.case(CE)
    working, instrumental, none = (await ward.report("level")).groups
    assert [group.of for group in (working, instrumental, none)] == [
        {"level": 1},
        {"level": 2},
        {"level": None},
    ]
    assert working.accuracy[1].sensitivity == wilson(1, 2)
    assert instrumental.accuracy[0].sensitivity == wilson(1, 1)
    assert none.accuracy[0].sensitivity.of == 0
    assert [group.labelled for group in (working, instrumental, none)] == [
        wilson(2, 4),
        wilson(1, 4),
        wilson(0, 4),
    ]


async def test_a_revised_label_replaces_the_former(ward: Ward) -> None:
    case = await ward.case(CE, LAA)
    await ward.given.labelled(case, CE, ("echo",))
    found = (await ward.report()).everything
    assert found.accuracy[0].sensitivity == wilson(1, 1)
    assert found.accuracy[1].sensitivity.of == 0


async def test_labels_given_before_any_answer_are_counted(ward: Ward) -> None:
    await ward.case(CE, CE)
    case = await ward.given.case(await ward.given.person())
    await ward.given.labelled(case)
    await ward.given.ingested(case)
    await ward.given.predicted(case)
    found = (await ward.report()).everything
    assert (found.labelled.count, found.blinded) == (2, 1)


async def test_groups_differ_by_how_images_came_and_how_many_there_were(ward: Ward) -> None:
    given = ward.given
    await ward.case(images=3)
    await ward.case(images=1)
    for channels in (("document",), ("document", "photo")):
        case = await given.case(await given.person(), channel=channels[0])
        for channel in channels[1:]:
            await given.image(case, channel=channel)
        await given.ingested(case)
        await given.predicted(case)
    found = await ward.report("channel", "images")
    assert [(group.of["channel"], group.of["images"]) for group in found.groups] == [
        ("document", 1),
        ("mixed", 2),
        ("photo", 1),
        ("photo", 3),
    ]
    assert found.everything.cases == sum(group.cases for group in found.groups) == 4


async def test_every_model_is_judged_by_its_last_word_in_a_case(ward: Ward) -> None:
    given, other = ward.given, ward.given.new_id()
    sha256 = "c0ffee" + "0" * 58
    registered = Registered("second", "2", "ce-vs-laa", sha256, "", "", "", synthetic=True)
    await given.happened(MODELS, other, registered)
    case = await ward.case(LAA, CE)
    await given.predicted(case, CE, model=other)
    await given.image(case)
    await given.ingested(case)
    await given.predicted(case, CE)
    first, second = sorted((await ward.report("model")).groups, key=lambda group: str(group.of))
    assert [first.of["model"], second.of["model"]] == [str(MODEL), "second 2 (c0ffee00)"]
    assert first.said == second.said == {CE: 1}


async def test_seconds_run_from_the_first_photo_to_the_first_answer(ward: Ward) -> None:
    given = ward.given
    case = await ward.case(images=3)
    first = given.now
    await given.context(case)
    await given.predicted(case)
    await given.composed(case)
    await given.delivered(case)
    sent = min(image.submitted.sent for image in (await given.state(case)).images.values())
    found = (await ward.report()).everything
    assert found.seconds_p50 == found.seconds_p95 == (first - sent).total_seconds()


async def test_seconds_count_for_the_model_that_answered_first(ward: Ward) -> None:
    given, later = ward.given, ward.given.new_id()
    case = await ward.case()
    await given.predicted(case, model=later)
    await given.composed(case)
    await given.delivered(case)
    seconds = {group.of["model"]: group.seconds_p50 for group in await groups(ward)}
    assert seconds[str(later)] is None
    assert seconds[str(MODEL)] is not None


async def groups(ward: Ward) -> tuple[Group, ...]:
    return (await ward.report("model")).groups


async def test_opinions_agree_with_labels_and_answers(ward: Ward) -> None:
    """Those who agree, name the answer's cause or name another; who is unsure is not counted."""
    for opinion, label in (("agree", CE), (CE, LAA), (LAA, LAA), ("unsure", LAA)):
        case = await ward.case(CE)
        await ward.given.opinion(case, opinion)
        await ward.given.labelled(case, label)
    readers = (await ward.report()).readers
    assert readers.own.observed == wilson(2, 3)
    assert readers.own.kappa == pytest.approx(0.4)
    assert readers.model.observed == wilson(2, 3)
    assert readers.own_unaided.observed.of == readers.second.observed.of == 0


async def test_an_opinion_without_an_answer_is_unaided(ward: Ward) -> None:
    case = await ward.given.case(await ward.given.person())
    await ward.given.opinion(case, CE)
    await ward.given.labelled(case, CE)
    readers = (await ward.report()).readers
    assert readers.own_unaided.observed == readers.own.observed == wilson(1, 1)


async def test_somebody_elses_opinion_is_a_second_one(ward: Ward) -> None:
    case, colleague = await ward.case(CE, CE), await ward.given.person()
    await ward.given.on(
        case, OpinionGiven(opinion=LAA, by=colleague, prediction=None, before_reveal=True)
    )
    readers = (await ward.report()).readers
    assert (readers.second.observed, readers.own.observed) == (wilson(0, 1), wilson(0, 0))


async def test_a_withdrawn_case_is_counted_as_such_only(ward: Ward) -> None:
    case = await ward.case(CE, LAA)
    await ward.given.opinion(case, CE)
    await ward.case(CE, CE)
    await ward.given.withdrawn(case)
    found = await ward.report()
    assert (found.cases, found.withdrawn, found.everything.cases) == (1, 1, 1)
    assert found.instrumental == wilson(1, 1)
    assert found.readers.model.observed.of == 0
