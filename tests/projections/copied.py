"""A ledger's copy that a test may cut, change or rename, as no real ledger would let it."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from uuid import NAMESPACE_URL, UUID, uuid5

from adapters.storage.memory import MemoryLedger
from commands.ports import Head
from domain.events import Recorded

LEDGER = uuid5(NAMESPACE_URL, "ledger")


class CopiedLedger(MemoryLedger):
    """Reads come from the list `events`; `follow` waits for ever at its end."""

    def __init__(self, events: Iterable[Recorded], id_: UUID = LEDGER) -> None:
        super().__init__()
        self.events = list(events)
        self.id = id_

    async def read(
        self, after: int = 0, aggregate: str | None = None
    ) -> AsyncGenerator[Recorded, None]:
        for found in list(self.events):
            if found.sequence > after and aggregate in (None, found.aggregate):
                yield found

    async def stored(self, after: int = 0) -> AsyncGenerator[list[tuple[int, bytes]], None]:
        if found := [(each.sequence, each.payload) async for each in self.read(after)]:
            yield found

    async def follow(self, after: int = 0) -> AsyncGenerator[Recorded, None]:
        async for found in self.read(after):
            yield found
        await asyncio.Event().wait()

    async def head(self) -> Head:
        return Head(self.id, "demo", self.events[-1].sequence if self.events else 0)
