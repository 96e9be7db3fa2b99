"""The read models `history` and `inbox` of ictus: their rebuild, its limit, their lag, one case."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import islice
from tempfile import TemporaryDirectory

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import fresh, stream_of
from commands.ports import Db
from ictus.past import story
from projections import PROJECTIONS, cursor, history, inbox, runner
from projections.feed import in_batches

MODELS = tuple(PROJECTIONS[name] for name in ("history", "inbox"))
SCHEMA = "copied"
COPIED_EVENTS = 20_000
SHOWN = 100
COMMANDS = 5
POLL_SECONDS = 0.002

Measure = Callable[[JetStreamLedger, PostgresDatabase], Awaitable[Measured]]


class Enough(Exception):
    """So many events are applied."""


def filled(url: str, dsn: str, events: int, seed: str) -> Measured:
    """So many events of cases that go on side by side, made while they are stored."""

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        with Stopwatch(events) as watch:
            await ledger.append_many(stream_of(events, seed))
        return watch.measured

    return _on(url, dsn, measure)


def rebuilt(url: str, dsn: str, events: int) -> Measured:
    """Both models from the first event on, until they are live."""

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        with Stopwatch(events) as watch:
            outcomes = await runner.rebuild_all(MODELS, ledger, database, lambda at, head: None)
        for outcome in outcomes.values():
            assert outcome.sequence == events
            assert outcome.identical is not False
        return watch.measured

    return _on(url, dsn, measure)


def rebuilt_in_part(url: str, dsn: str, events: int) -> Measured:
    """Only up to the event number `events`: does memory grow with the ledger?"""

    def stop(sequence: int, head: int) -> None:
        if sequence >= events:
            raise Enough

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        with Stopwatch(events) as watch, suppress(Enough):
            await runner.rebuild_all(MODELS, ledger, database, stop)
        return watch.measured

    return _on(url, dsn, measure)


def copied(url: str, dsn: str, events: int) -> Measured:
    """The limit: COPY of the rows of both models, then their indices, and nothing else measured."""

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        watch = Stopwatch(events)
        async with database.acquire() as db:
            await _tables(db)
            async with aclosing(in_batches(ledger.read(), COPIED_EVENTS)) as batches:
                async for batch in batches:
                    rows = [history._row(recorded) for recorded in batch]
                    with watch:
                        await db.copy_records_to_table("events", records=rows)
            for table in ("cases", "images", "cards"):
                found = await db.fetch(f"SELECT * FROM inbox.{table}")  # noqa: S608
                with watch:
                    await db.copy_records_to_table(table, records=found)
            with watch:
                for model in MODELS:
                    await cursor.index(db, model)
            await db.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
        return watch.measured

    return _on(url, dsn, measure)


def followed(url: str, dsn: str, events: int, per_s: int) -> Measured:
    """New events one by one at a steady rate, while both models follow in this very process.

    A latency is the time from an event's acknowledgement until both models hold it.
    """

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        stored: dict[int, float] = {}
        appending: set[asyncio.Task[None]] = set()

        async def append(at: int) -> None:
            request, commit, _ = made[at]
            sequence = await ledger.append(request, [commit])
            stored[sequence] = time.perf_counter()

        made = fresh(events, f"lag/{time.time_ns()}")
        with Stopwatch(events) as watch:
            async with _following(ledger, database):
                head, start = (await ledger.head()).sequence, time.perf_counter()
                watching = asyncio.create_task(_reached(database, head + events))
                for at in range(events):
                    await asyncio.sleep(max(0.0, start + at / per_s - time.perf_counter()))
                    appending.add(asyncio.create_task(append(at)))
                await asyncio.gather(*appending)
                seen = await watching
        for sequence, since in stored.items():
            until = next(when for at, when in seen if at >= sequence)
            watch.took(max(0.0, until - since))
        return watch.measured

    return _on(url, dsn, measure)


def shown(url: str, dsn: str) -> Measured:
    """What `ictus case show CODE` asks: the case by its code, and its events."""

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        codes = await _codes(database)
        with Stopwatch(len(codes)) as watch:
            for code in codes:
                since = time.perf_counter()
                async with database.acquire() as db:
                    case, *_ = await inbox.find(db, code)
                assert await story(ledger, database, case.case_id)
                watch.lap(since)
        return watch.measured

    return _on(url, dsn, measure)


def shown_by_command(url: str, dsn: str) -> Measured:
    """The whole command, in a process of its own each time."""

    async def measure(ledger: JetStreamLedger, database: PostgresDatabase) -> Measured:
        codes = await _codes(database)
        with Stopwatch(COMMANDS) as watch, TemporaryDirectory() as folder:
            given = {"ICTUS_DATA": folder, "ICTUS_NATS__URL": url, "ICTUS_POSTGRES__DSN": dsn}
            for code in islice(codes, COMMANDS):
                since = time.perf_counter()
                words = [sys.executable, "-m", "ictus", "case", "show", code, "--json"]
                told = await asyncio.create_subprocess_exec(
                    *words, env=os.environ | given, stdout=subprocess.DEVNULL
                )
                assert await told.wait() == 0
                watch.lap(since)
        return watch.measured

    return _on(url, dsn, measure)


def _on(url: str, dsn: str, measure: Measure) -> Measured:
    async def connected() -> Measured:
        async with await connect(url, "bench") as client, PostgresDatabase(dsn) as database:
            return await measure(JetStreamLedger(client), database)

    return asyncio.run(connected())


async def _tables(db: Db) -> None:
    """Both models', empty and without indices, found before all others."""
    await db.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    await db.execute(f"CREATE SCHEMA {SCHEMA}")
    await db.execute(f"SET search_path TO {SCHEMA}")
    for model in MODELS:
        await db.execute(model.ddl)


async def _codes(database: PostgresDatabase) -> list[str]:
    """Of cases from all over the ledger."""
    query = "SELECT code FROM inbox.cases ORDER BY case_id LIMIT $1"
    async with database.acquire() as db:
        return [row["code"] for row in await db.fetch(query, SHOWN)]


@asynccontextmanager
async def _following(ledger: JetStreamLedger, database: PostgresDatabase) -> AsyncIterator[None]:
    following = asyncio.create_task(runner.run_all(MODELS, ledger, database, {}))
    try:
        head = await ledger.head()
        for model in MODELS:
            assert await runner.caught_up(database, model.name, head.sequence, 60.0)
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _reached(database: PostgresDatabase, last: int) -> list[tuple[int, float]]:
    """How far both models were, and when that was seen."""
    seen = [(0, 0.0)]
    names = [model.name for model in MODELS]
    query = "SELECT min(sequence) FROM projection.cursor WHERE live AND name = ANY($1)"
    async with database.acquire() as db:
        while seen[-1][0] < last:
            reached = await db.fetchval(query, names)
            if reached > seen[-1][0]:
                seen.append((reached, time.perf_counter()))
            await asyncio.sleep(POLL_SECONDS)
    return seen
