"""What was set aside, as the operator's read model tells it."""

from uuid import UUID

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.dead_letter import NAME, Cause, Discarded, Handled, Parked, Retried
from projections import PROJECTIONS, deadletters
from projections.deadletters import Line
from tests.givens import Given
from tests.projections.following import project

DEADLETTERS = PROJECTIONS["deadletters"]


def parked(
    sequence: int, case: UUID, cause: Cause = "failed", behind: UUID | None = None
) -> Parked:
    return Parked(
        letter=UUID(int=sequence),
        consumer="answer",
        stream="ICTUS_EV",
        sequence=sequence,
        cause=cause,
        error="" if cause == "behind" else "ZeroDivisionError",
        fingerprint="" if cause == "behind" else "0123456789abcdef",
        attempts=0 if cause == "behind" else 5,
        version="0.1.0",
        event_id=UUID(int=sequence),
        aggregate="case",
        aggregate_id=case,
        behind=behind,
    )


async def told(database: PostgresDatabase, **more: object) -> list[Line]:
    async with database.acquire() as db:
        return await deadletters.lines(db, **more)  # type: ignore[arg-type]


async def test_a_line_is_told_in_its_order_and_found_by_case_and_by_group(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    line, case, other = given.new_id(), given.new_id(), given.new_id()
    await given.happened(NAME, line, parked(9, case), parked(12, case, "behind", UUID(int=9)))
    await given.happened(NAME, given.new_id(), parked(10, other))
    await project(ledger, database, DEADLETTERS)

    assert [each.sequence for each in await told(database)] == [9, 12, 10]
    first, second = await told(database, case=case)
    assert (first.standing, first.attempts, first.line) == ("stuck", 5, line)
    assert (second.standing, second.behind) == ("waiting", first.letter)
    assert [e.sequence for e in await told(database, group="0123456789abcdef")] == [9, 10]


async def test_what_was_handled_or_discarded_is_told_on_demand(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    line, case = given.new_id(), given.new_id()
    first, second = parked(1, case), parked(2, case, "behind", UUID(int=1))
    await given.happened(NAME, line, first, second)
    await given.happened(NAME, line, Retried(letter=first.letter, consumer="answer"))
    await project(ledger, database, DEADLETTERS)
    assert [each.standing for each in await told(database)] == ["retrying", "waiting"]

    await given.happened(NAME, line, Handled(letter=first.letter, consumer="answer"), second)
    discarded = Discarded(letter=second.letter, consumer="answer", reason="unusable")
    await given.happened(NAME, line, discarded)
    await project(ledger, database, DEADLETTERS)

    assert await told(database) == []
    closed = await told(database, everything=True)
    assert [(e.standing, e.reason) for e in closed] == [("handled", ""), ("discarded", "unusable")]
    assert closed[1].changed > closed[1].since
