"""What was known when, byte for byte."""

from datetime import timedelta

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.case import Opened
from domain.events import CASE, Recorded, fold
from projections import PROJECTIONS, history
from tests.givens import START, Given
from tests.projections.copied import CopiedLedger
from tests.projections.following import project

HISTORY = PROJECTIONS["history"]


async def test_a_case_is_told_exactly_as_the_ledger_holds_it(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = (await given.ward())[2]
    await project(ledger, database, HISTORY)
    async with database.acquire() as db:
        told = await history.of_case(db, case)
    assert told == await ledger.load("case", case)


async def test_a_case_is_told_as_it_was_known(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.answered_case(await given.person())
    before = (await ledger.head()).sequence
    await given.labelled(case)
    await project(ledger, database, HISTORY)
    async with database.acquire() as db:
        assert fold(CASE, await history.of_case(db, case)).label is not None
        assert fold(CASE, await history.of_case(db, case, before)).label is None
        assert await history.of_case(db, case, 0) == []


async def test_a_time_means_the_last_event_before_the_first_later_one(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    middle = ward.events[40]
    async with database.acquire() as db:
        assert await history.sequence_at(db, START - timedelta(days=1)) == 0
        at = await history.sequence_at(db, middle.envelope.time)
        assert at == expected_at(ward, middle)
        assert await history.sequence_at(db, START + timedelta(days=1)) == len(ward.events)


def expected_at(ledger: CopiedLedger, middle: Recorded) -> int:
    later = [one.sequence for one in ledger.events if one.envelope.time > middle.envelope.time]
    return later[0] - 1


async def test_a_time_before_anything_happened_is_nothing(
    ledger: MemoryLedger, database: PostgresDatabase
) -> None:
    await project(ledger, database, HISTORY)
    async with database.acquire() as db:
        assert await history.sequence_at(db, START) == 0


async def test_only_events_of_cases_name_a_case(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    async with database.acquire() as db:
        named = await db.fetchval("SELECT count(*) FROM history.events WHERE case_id IS NOT NULL")
        opened = await db.fetchval(
            "SELECT count(*) FROM history.events WHERE type = 'ictus.case.opened.v1'"
        )
    assert named == sum(one.aggregate == CASE.name for one in ward.events)
    assert opened == sum(isinstance(one.event, Opened) for one in ward.events)
