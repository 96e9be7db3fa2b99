"""The past is told by the read model where it is whole, and by the ledger where it is not."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.events import Recorded
from ictus.past import sequence_at, story
from projections import PROJECTIONS
from tests.givens import START, Given
from tests.projections.following import project

HISTORY = PROJECTIONS["history"]


class Ledger(MemoryLedger):
    """Counts how often it was asked for events."""

    asked = 0

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        self.asked += 1
        return await super().load(aggregate, aggregate_id)

    def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        self.asked += 1
        return super().read(after, aggregate)


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


async def told(ledger: Ledger, database: PostgresDatabase, case: UUID) -> tuple[int, int, bool]:
    """How many events of the case, the last sequence a quarter of a minute in, and from the ledger?"""
    ledger.asked = 0
    events = await story(ledger, database, case)
    at = await sequence_at(ledger, database, START + timedelta(seconds=15))
    return len(events), at, ledger.asked > 0


async def test_the_read_model_says_what_the_ledger_says_without_asking_it(
    database: PostgresDatabase,
) -> None:
    ledger = Ledger()
    case = (await Given(ledger).ward(4))[1]
    *by_ledger, asked = await told(ledger, database, case)
    assert asked
    await project(ledger, database, HISTORY)
    *by_history, asked = await told(ledger, database, case)
    assert (by_history, asked) == (by_ledger, False)


async def test_a_read_model_that_lags_is_not_asked(database: PostgresDatabase) -> None:
    ledger = Ledger()
    given = Given(ledger)
    case = (await given.ward(4))[1]
    await project(ledger, database, HISTORY)
    await given.context(case)
    assert (await told(ledger, database, case))[2]


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE history.events SET payload = replace(encode(payload, 'escape'), 'yes', 'no')::bytea",
        "DELETE FROM history.events WHERE type = 'ictus.case.image-submitted.v1'",
        "UPDATE projection.cursor SET ledger = gen_random_uuid()",
        "DROP SCHEMA projection CASCADE",
    ],
)
async def test_a_read_model_that_was_harmed_or_is_another_ledgers_is_not_believed(
    database: PostgresDatabase, harm: str
) -> None:
    ledger = Ledger()
    given = Given(ledger)
    case = (await given.ward(4))[1]
    await given.context(case)
    await given.image(case)
    await project(ledger, database, HISTORY)
    whole = await ledger.load("case", case)
    async with database.acquire() as db:
        await db.execute(harm)
    assert await story(ledger, database, case) == whole
