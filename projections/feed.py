"""Batches of whatever is ready: one event when the ledger is quiet, many when it replays."""

import asyncio
from asyncio import FIRST_COMPLETED, Queue, Task
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from domain.events import Recorded


async def in_batches(
    events: AsyncIterator[Recorded], events_max: int
) -> AsyncGenerator[list[Recorded], None]:
    """Reads ahead by at most one batch while the former is applied; ends or fails as `events` does."""
    ready: Queue[Recorded] = Queue(events_max)
    pump = asyncio.create_task(_pump(events, ready))
    try:
        while batch := await _next_batch(ready, pump):
            yield batch
        await pump
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


@asynccontextmanager
async def closing(events: AsyncIterator[Recorded]) -> AsyncIterator[AsyncIterator[Recorded]]:
    """Ends the reading when the block ends, so that nothing stays open at the server."""
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


async def _pump(events: AsyncIterator[Recorded], ready: Queue[Recorded]) -> None:
    async with closing(events):
        async for recorded in events:
            await ready.put(recorded)


async def _next_batch(ready: Queue[Recorded], pump: Task[None]) -> list[Recorded]:
    """Empty only when the pump has ended and all it read was handed out."""
    batch = []
    if ready.empty():
        first = asyncio.create_task(ready.get())
        try:
            await asyncio.wait({first, pump}, return_when=FIRST_COMPLETED)
        finally:
            first.cancel()
        if first.done():
            batch.append(first.result())
    while not ready.empty():
        batch.append(ready.get_nowait())
    return batch
