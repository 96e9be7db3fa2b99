"""Batches of whatever is ready: one event when the ledger is quiet, many when it replays."""

import asyncio
from asyncio import Event as Signal
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from domain.events import Recorded


async def in_batches(
    events: AsyncIterator[Recorded], events_max: int
) -> AsyncGenerator[list[Recorded], None]:
    """Reads ahead by at most one batch while the former is applied; ends or fails as `events` does."""
    ahead = Ahead(events_max)
    pump = asyncio.create_task(ahead.fill(events))
    try:
        while batch := await ahead.take():
            yield batch
        await pump
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


class Ahead:
    """What was read and not handed out yet. Neither side waits for the other event by event."""

    def __init__(self, events_max: int) -> None:
        self._ready: list[Recorded] = []
        self._events_max = events_max
        self._some, self._room, self._over = Signal(), Signal(), False

    async def fill(self, events: AsyncIterator[Recorded]) -> None:
        try:
            async with closing(events):
                async for recorded in events:
                    self._ready.append(recorded)
                    self._some.set()
                    if len(self._ready) >= self._events_max:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._over = True
            self._some.set()

    async def take(self) -> list[Recorded]:
        """Empty only when there will be no more."""
        await self._some.wait()
        batch, self._ready = self._ready, []
        self._room.set()
        if not self._over:
            self._some.clear()
        return batch


@asynccontextmanager
async def closing(events: AsyncIterator[Recorded]) -> AsyncIterator[AsyncIterator[Recorded]]:
    """Ends the reading when the block ends, so that nothing stays open at the server."""
    try:
        yield events
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
