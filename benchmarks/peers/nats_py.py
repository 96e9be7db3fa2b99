"""nats-py as its users use it: `js.publish` one by one, an ordered consumer with a callback."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.storage.jetstream import headers_of
from adapters.storage.nats_connection import connect
from adapters.storage.streams import LEDGER
from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import fresh
from domain.events import decode

PENDING_BYTES_MAX = 1024**3


def single(url: str, events: int, seed: str) -> Measured:
    """Bare: the same messages, made beforehand."""

    async def measure(client: Client) -> Measured:
        stream, writes = client.jetstream(), [each.entry for each in fresh(events, seed)]
        with Stopwatch(events) as watch:
            for entry in writes:
                since = time.perf_counter()
                await stream.publish(entry.subject, entry.payload, headers=headers_of(entry))
                watch.lap(since)
        return watch.measured

    return _connected(url, measure)


def replayed(url: str, events: int) -> Measured:
    """Decoded into typed events, like ours."""

    async def measure(client: Client) -> Measured:
        done = asyncio.Event()
        received = 0

        async def receive(message: Msg) -> None:
            nonlocal received
            received += 1
            decode(received, message.data)
            if received == events:
                done.set()

        with Stopwatch(events) as watch:
            await client.jetstream().subscribe(
                "ictus.ev.>",
                stream=LEDGER,
                ordered_consumer=True,
                cb=receive,
                pending_msgs_limit=events * 2,
                pending_bytes_limit=PENDING_BYTES_MAX,
            )
            await done.wait()
        return watch.measured

    return _connected(url, measure)


def _connected(url: str, measure: Callable[[Client], Awaitable[Measured]]) -> Measured:
    async def run() -> Measured:
        async with await connect(url, "bench") as client:
            return await measure(client)

    return asyncio.run(run())
