"""Runs projections as the projector does, for the length of a test's block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.storage.postgres import PostgresDatabase
from commands.ports import Ledger
from projections import cursor, digest, runner
from projections.projection import Projection

SECONDS_MAX = 20.0


@asynccontextmanager
async def following(
    ledger: Ledger, database: PostgresDatabase, *projections: Projection
) -> AsyncIterator[None]:
    """The block begins when all are caught up; what a runner raises, the block raises."""
    await cursor.create(projections, database)
    tasks = [asyncio.create_task(runner.run(one, ledger, database)) for one in projections]
    waiting = asyncio.create_task(all_caught_up(ledger, database, *projections))
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        yield
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)


async def all_caught_up(
    ledger: Ledger, database: PostgresDatabase, *projections: Projection
) -> None:
    head = await ledger.head()
    for one in projections:
        assert await runner.caught_up(database, one.name, head.sequence, SECONDS_MAX)


async def project(ledger: Ledger, database: PostgresDatabase, *projections: Projection) -> None:
    """Applies all there is and stops."""
    async with following(ledger, database, *projections):
        pass


async def digest_of(database: PostgresDatabase, schema: str) -> str:
    async with database.acquire() as db:
        return await digest.of_schema(db, schema)
