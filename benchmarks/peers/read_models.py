"""The read models `history` and `inbox` of ictus: their rebuild, its limit, their lag, one case."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from benchmarks.measuring import Measured, Stopwatch, rss_mb
from benchmarks.stories import fresh, id_of, stream_of
from commands.ports import Database, Ledger
from domain.case import NAME
from domain.events import Recorded
from domain.identity import case_code
from projections import PROJECTIONS, cursor, history, inbox, runner

MODELS = tuple(PROJECTIONS[name] for name in ("history", "inbox"))
COPIED_ROWS = 20_000
POLL_SECONDS = 0.002
QUIET_SECONDS_MAX = 30.0
SHOWN = 50
LIMIT = "copied"

Rows = list[tuple[Any, ...]]


def filled(url: str, events: int, seed: str) -> Measured:
    """So many events of cases that go on side by side, made while they are stored."""

    async def measure(ledger: JetStreamLedger, database: Database) -> Measured:
        with Stopwatch(events) as watch:
            await ledger.append_many(stream_of(events, seed))
        return watch.measured

    return _on(url, "", measure)


def rebuilt(url: str, dsn: str, events: int) -> Measured:
    """Both models from the first event on; its latencies hold the memory (MB) at each tenth."""

    async def measure(ledger: JetStreamLedger, database: Database) -> Measured:
        with Stopwatch(events) as watch:
            for model in MODELS:
                await runner.rebuild(model, ledger, database, lambda sequence, head: None)
        return watch.measured

    return _on(url, dsn, measure)
