"""The ledger of ictus through its own port: encoding, guards and decoding are part of the measure."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import (
    fresh,
    id_of,
    next_of,
    whole_case,
    with_long_case,
    written,
)
from commands.ports import Damaged
from domain.case import NAME
from domain.events import NO_HASH, payload_hash

SPREAD, CONTIGUOUS = "bench", "bench/contiguous"
LONG_CASE_EVENTS = 100
LOADS = 20


def filled(url: str, events: int) -> Measured:
    """Many cases, and two of 100 events each: one spread over all the others, one contiguous."""

    async def fill(ledger: JetStreamLedger) -> Measured:
        writes = with_long_case(events, SPREAD, LONG_CASE_EVENTS)
        await ledger.append_many((request, commit) for request, commit, _ in writes)
        with Stopwatch(LONG_CASE_EVENTS) as watch:
            request, commit = whole_case(CONTIGUOUS, LONG_CASE_EVENTS)
            await ledger.append(request, [commit])
        return watch.measured

    return _on_a_ledger(url, fill)


def single(url: str, events: int, seed: str) -> Measured:
    return concurrent(url, events, 1, seed)


def concurrent(url: str, events: int, in_flight: int, seed: str) -> Measured:
    """So many writers, each waiting for its own append, all to different cases."""

    async def measure(ledger: JetStreamLedger) -> Measured:
        left = iter(fresh(events, seed))

        async def write(watch: Stopwatch) -> None:
            for request, commit, _ in left:
                since = time.perf_counter()
                await ledger.append(request, [commit])
                watch.lap(since)

        with Stopwatch(events) as watch:
            await asyncio.gather(*(write(watch) for _ in range(in_flight)))
        return watch.measured

    return _on_a_ledger(url, measure)


def imported(url: str, events: int, seed: str) -> Measured:
    async def measure(ledger: JetStreamLedger) -> Measured:
        writes = written(events, seed, (await ledger.head()).sequence)
        with Stopwatch(events) as watch:
            await ledger.append_many((request, commit) for request, commit, _ in writes)
        return watch.measured

    return _on_a_ledger(url, measure)


def loaded(url: str, name: str) -> Measured:
    """A case known up to its last event, which somebody else has just added."""

    async def measure(ledger: JetStreamLedger, other: JetStreamLedger) -> Measured:
        with Stopwatch(LOADS) as watch:
            for _ in range(LOADS):
                request, commit = next_of(name, (await ledger.load(NAME, id_of(name)))[-1])
                await other.append(request, [commit])
                since = time.perf_counter()
                await ledger.load(NAME, id_of(name))
                watch.lap(since)
        return watch.measured

    async def connected() -> Measured:
        async with await connect(url, "bench") as client:
            return await measure(JetStreamLedger(client), JetStreamLedger(client))

    return asyncio.run(connected())


def loaded_cold(url: str, name: str) -> Measured:
    """A case that nobody here has seen before."""

    async def connected() -> Measured:
        async with await connect(url, "bench") as client:
            with Stopwatch(LOADS) as watch:
                for _ in range(LOADS):
                    since = time.perf_counter()
                    await JetStreamLedger(client).load(NAME, id_of(name))
                    watch.lap(since)
            return watch.measured

    return asyncio.run(connected())


def replayed(url: str, events: int) -> Measured:
    async def measure(ledger: JetStreamLedger) -> Measured:
        with Stopwatch(events) as watch:
            read = 0
            async for recorded in ledger.read():
                assert recorded.event
                read += 1
        assert read == events
        return watch.measured

    return _on_a_ledger(url, measure)


def verified(url: str, events: int) -> Measured:
    """Every event of every aggregate must name the hash of the one before."""

    async def measure(ledger: JetStreamLedger) -> Measured:
        heads: dict[str, str] = {}
        with Stopwatch(events) as watch:
            async for recorded in ledger.read():
                envelope = recorded.envelope
                if envelope.prevhash != heads.get(envelope.subject, NO_HASH):
                    raise Damaged(f"the chain breaks at sequence {recorded.sequence}")
                heads[envelope.subject] = payload_hash(recorded.payload)
        return watch.measured

    return _on_a_ledger(url, measure)


def _on_a_ledger(url: str, measure: Callable[[JetStreamLedger], Awaitable[Measured]]) -> Measured:
    async def connected() -> Measured:
        async with await connect(url, "bench") as client:
            return await measure(JetStreamLedger(client))

    return asyncio.run(connected())
