"""Killed at any moment, client or server, a read model holds what a fold of the ledger holds."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from uuid import UUID

import pytest
from msgspec.structs import astuple

from adapters.storage.postgres import PostgresDatabase
from commands.ports import Db, Unavailable
from projections.cursor import Cursor
from projections.inbox_fold import Fold
from tests.projections.copied import CopiedLedger
from tests.projections.following import project
from tests.projections.killed_runner import ALL, build, story
from tests.servers import PostgresServer

KILLS = 4
PASSED_SECONDS_MAX = 60.0
CURSORS = "SELECT name, version, live, sequence FROM projection.cursor"


@asynccontextmanager
async def at_work(dsn: str, *words: str) -> AsyncIterator[Process]:
    """A process that is killed when the block ends, unless it has ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.projections.killed_runner", dsn, *words
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def moments(ledger: CopiedLedger, random: Random) -> list[int]:
    """Sequences to kill at, all over the ledger."""
    step = len(ledger.events) // KILLS
    return [number * step + random.randrange(1, step) for number in range(KILLS)]


async def positions(database: PostgresDatabase) -> dict[tuple[str, bool], int]:
    """How far each live and each other version is, by name; empty before the first."""
    with suppress(Unavailable):
        async with database.acquire() as db:
            found = await db.fetch(CURSORS)
            return {(row["name"], row["live"]): row["sequence"] for row in found}
    return {}


async def passed(database: PostgresDatabase, name: str, live: bool, sequence: int) -> None:
    """Returns when this version of the read model has come so far, or was switched to."""
    async with asyncio.timeout(PASSED_SECONDS_MAX):
        while True:
            found = await positions(database)
            if found.get((name, live), 0) >= sequence or found.get((name, True), 0) >= sequence:
                return
            await asyncio.sleep(0.005)


async def assert_folded(database: PostgresDatabase, ledger: CopiedLedger, live: bool) -> None:
    """`history` and `inbox` hold the events up to their own cursor, once, and nothing else.

    All is read as it stood at one moment, since whoever was not killed works on.
    """
    async with database.acquire() as db, db.transaction(isolation="repeatable_read"):
        for row in await db.fetch(CURSORS):
            if row["live"] is live and row["name"] in ("history", "inbox"):
                at = Cursor(row["name"], row["version"], 1, row["live"])
                await FOLDED[row["name"]](db, at.schema, ledger, row["sequence"])


async def history_folded(db: Db, schema: str, ledger: CopiedLedger, sequence: int) -> None:
    query = f"SELECT sequence, payload FROM {schema}.events ORDER BY sequence"  # noqa: S608
    found = [(row["sequence"], row["payload"]) for row in await db.fetch(query)]
    assert found == [(one.sequence, one.payload) for one in ledger.events[:sequence]]


async def inbox_folded(db: Db, schema: str, ledger: CopiedLedger, sequence: int) -> None:
    fold = Fold({})
    for recorded in ledger.events[:sequence]:
        fold.see(recorded)
    for table, rows in (
        ("cases", [astuple(case) for case in fold.cases.values()]),
        ("images", [astuple(image) for image in fold.submitted.values()]),
        ("cards", list(fold.cards.items())),
    ):
        query = f"SELECT * FROM {schema}.{table}"  # noqa: S608
        found = {tuple(row) for row in await db.fetch(query)}
        assert found == {(UUID(str(row[0])), _second(row[1]), *row[2:]) for row in rows}


def _second(value: object) -> object:
    """A card's case is a UUID; a case's code is not."""
    with suppress(ValueError):
        return UUID(str(value))
    return value


FOLDED = {"history": history_folded, "inbox": inbox_folded}


async def test_a_projector_killed_at_random_holds_the_fold(
    fresh_database: str, database: PostgresDatabase
) -> None:
    ledger, random = await story(), Random(1)
    for until in moments(ledger, random):
        async with at_work(fresh_database):
            await passed(database, random.choice(ALL).name, True, until)
            await asyncio.sleep(random.random() * 0.05)
        await assert_folded(database, ledger, live=True)
    await project(ledger, database, *ALL)
    assert set((await positions(database)).values()) == {len(ledger.events)}
    await assert_folded(database, ledger, live=True)


async def test_a_rebuild_killed_at_random_goes_on_to_what_lived(
    fresh_database: str, database: PostgresDatabase
) -> None:
    ledger, random = await story(), Random(2)
    await project(ledger, database, *ALL)
    for until in moments(ledger, random):
        async with at_work(fresh_database, "rebuild"):
            await passed(database, random.choice(ALL).name, False, until)
            await asyncio.sleep(random.random() * 0.05)
        await assert_folded(database, ledger, live=False)
        await assert_folded(database, ledger, live=True)
    rebuilt = await build(ledger, database)
    assert all(one.identical for one in rebuilt.values())
    await assert_folded(database, ledger, live=True)


async def test_a_postgres_killed_at_random_holds_the_fold(
    fresh_database: str, database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    ledger, random = await story(), Random(3)
    async with at_work(fresh_database):
        for until in moments(ledger, random):
            await passed(database, "inbox", True, until)
            await asyncio.sleep(random.random() * 0.05)
            postgres_server.kill()
            await asyncio.to_thread(postgres_server.restart)
            async with PostgresDatabase(fresh_database) as anew:
                await assert_folded(anew, ledger, live=True)
        for one in ALL:
            await passed(database, one.name, True, len(ledger.events))
    await assert_folded(database, ledger, live=True)


@pytest.mark.parametrize(
    "spoil",
    [
        "DELETE FROM inbox.cards",
        "UPDATE inbox.images SET outcome = NULL",
        "UPDATE inbox.cases SET answered = NOT answered",
        "DELETE FROM history.events WHERE sequence = 1",
    ],
)
async def test_the_comparison_notices_what_is_wrong(
    ward: CopiedLedger, database: PostgresDatabase, spoil: str
) -> None:
    await project(ward, database, *ALL)
    await assert_folded(database, ward, live=True)
    async with database.acquire() as db:
        await db.execute(spoil)
    with pytest.raises(AssertionError):
        await assert_folded(database, ward, live=True)
