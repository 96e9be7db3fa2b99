"""How fast and how right the answers were, with honest intervals."""

import pytest

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from projections import PROJECTIONS, quality
from projections.quality import Share, Summary, wilson
from tests.givens import Given
from tests.projections.following import project

QUALITY = PROJECTIONS["quality"]


async def summed(ledger: MemoryLedger, database: PostgresDatabase) -> Summary:
    await project(ledger, database, QUALITY)
    async with database.acquire() as db:
        return await quality.summary(db)


async def test_nothing_is_claimed_of_nothing(
    ledger: MemoryLedger, database: PostgresDatabase
) -> None:
    nothing = Share(0, 0, 0.0, 1.0)
    assert await summed(ledger, database) == Summary(0, 0, 0, None, None, nothing, nothing)


async def test_cases_are_counted_by_what_was_answered(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by = await given.person()
    for _ in range(3):
        await given.answered_case(by)
    await given.answered_case(by, abstains=True)
    await given.case(by)
    found = await summed(ledger, database)
    assert (found.cases, found.answered, found.abstained) == (5, 3, 1)


async def test_seconds_run_from_the_first_photo_to_the_first_answer(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.answered_case(await given.person(), images=3)
    first = given.now
    await given.context(case)
    await given.predicted(case)
    await given.composed(case)
    await given.delivered(case)
    found = await summed(ledger, database)
    sent = min(image.submitted.sent for image in (await given.state(case)).images.values())
    assert found.seconds_p50 == found.seconds_p95 == (first - sent).total_seconds()


async def test_agreement_counts_only_labels_with_instrumental_evidence(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by = await given.person()
    for cause in ("cardioembolic", "cardioembolic", "large-artery", "small-vessel"):
        await given.labelled(await given.answered_case(by, "cardioembolic"), cause, ("ecg",))
    await given.labelled(await given.answered_case(by), "large-artery", ("clinical",))
    await given.labelled(await given.answered_case(by, abstains=True), "cardioembolic", ("echo",))
    agreement = (await summed(ledger, database)).agreement
    assert (agreement.count, agreement.of) == (2, 4)


async def test_opinions_that_name_the_answers_cause_agree_too(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by = await given.person()
    for opinion in ("agree", "cardioembolic", "large-artery", "unsure"):
        await given.opinion(await given.answered_case(by, "cardioembolic"), opinion)
    agreeing = (await summed(ledger, database)).agreeing
    assert (agreeing.count, agreeing.of) == (2, 4)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_intervals_are_those_of_the_literature(
    count: int, of: int, low: float, high: float
) -> None:
    """The last row is in R. G. Newcombe, Statistics in Medicine 17 (1998), table I."""
    found = wilson(count, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
