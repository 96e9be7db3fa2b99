"""What every projection promises: batches do not matter, and nothing personal is unsealed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.dead_letter import NAME as DEAD_LETTER
from domain.events import Recorded
from projections import PROJECTIONS, cursor, digest
from projections.builder import build
from projections.projection import Projection
from projections.spec import Spec
from tests.givens import Given
from tests.projections.copied import CopiedLedger
from tests.projections.following import all_caught_up, following
from tests.projections.stories import parked
from tests.servers import NatsServer

EVERY = pytest.mark.parametrize("projection", PROJECTIONS.values(), ids=PROJECTIONS)


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


@pytest.fixture
async def events() -> list[Recorded]:
    ledger = MemoryLedger()
    given = Given(ledger)
    await given.ward(10)
    await given.advice()
    await given.happened(DEAD_LETTER, given.new_id(), parked(1, given.new_id()))
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


async def test_they_follow_the_real_ledger_through_its_death(
    database: PostgresDatabase, nats_client: Client, fresh_nats: NatsServer
) -> None:
    ledger, history = JetStreamLedger(nats_client), PROJECTIONS["history"]
    given = Given(ledger)
    async with following(ledger, database, history):
        await given.ward(2)
        fresh_nats.kill()
        fresh_nats.launch()
        await asyncio.to_thread(fresh_nats.wait)
        await given.person()
        await all_caught_up(ledger, database, history)
    async with database.acquire() as db:
        found = await db.fetch("SELECT id FROM history.events ORDER BY sequence")
    assert [row["id"] for row in found] == [recorded.id async for recorded in ledger.read()]


async def test_a_dataset_of_the_real_ledger_is_the_same_whoever_holds_the_events(
    nats_client: Client, events: list[Recorded]
) -> None:
    ledger = JetStreamLedger(nats_client)
    await Given(ledger).ward(10)
    as_of = len(events) // 2
    built = await build(ledger, Spec(), as_of)
    assert built.root == (await build(CopiedLedger(events), Spec(), as_of)).root
    assert built.head_sha256 == events[as_of - 1].hash
