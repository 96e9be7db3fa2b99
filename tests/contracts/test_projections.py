"""What every projection promises: batches do not matter, and nothing personal is unsealed."""

from collections.abc import AsyncIterator

import pytest

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.events import Recorded
from projections import PROJECTIONS, cursor, digest
from projections.projection import Projection
from tests.givens import Given

EVERY = pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


@pytest.fixture
async def events() -> list[Recorded]:
    ledger = MemoryLedger()
    await Given(ledger).ward(10)
    return [recorded async for recorded in ledger.read()]


async def digest_after(
    database: PostgresDatabase, projection: Projection, events: list[Recorded], size: int
) -> str:
    """Applies the events to a new version, `size` at a time."""
    await cursor.create((projection,), database)
    built = await cursor.begin(projection, database)
    async with database.acquire() as db:
        for first in range(0, len(events), size):
            batch = events[first : first + size]
            async with db.transaction():
                await cursor.enter(db, built)
                await projection.apply(db, batch)
                built = await cursor.move(db, built, batch[-1])
        return await digest.of_schema(db, built.schema)


@EVERY
async def test_the_size_of_batches_does_not_matter(
    database: PostgresDatabase, events: list[Recorded], projection: Projection
) -> None:
    digests = [await digest_after(database, projection, events, size) for size in (1, 7, 500)]
    assert len(set(digests)) == 1


@EVERY
async def test_an_empty_read_model_differs_from_a_full_one(
    database: PostgresDatabase, events: list[Recorded], projection: Projection
) -> None:
    full = await digest_after(database, projection, events, 500)
    assert full != await digest_after(database, projection, [], 500)


@EVERY
async def test_tables_are_written_only_in_the_version_at_work(
    database: PostgresDatabase, events: list[Recorded], projection: Projection
) -> None:
    await digest_after(database, projection, events, 500)
    async with database.acquire() as db:
        live = await digest.of_schema(db, projection.name)
    assert live == await digest_after(database, projection, [], 500)


@EVERY
async def test_sealed_words_stay_in_the_payloads(
    database: PostgresDatabase, events: list[Recorded], projection: Projection
) -> None:
    await digest_after(database, projection, events, 500)
    async with database.acquire() as db:
        columns = await db.fetch(
            "SELECT format('SELECT count(*) FROM %I.%I WHERE strpos(%s, $1) > 0',"
            " table_schema, table_name, CASE data_type WHEN 'bytea'"
            " THEN format('encode(%I, ''escape'')', column_name)"
            " ELSE format('%I::text', column_name) END) AS search, column_name"
            " FROM information_schema.columns WHERE table_schema = $1",
            f"{projection.name}_v2",
        )
        assert columns
        for column in columns:
            found = await db.fetchval(column["search"], "sealed words")
            assert not found or column["column_name"] == "payload"
