"""All aggregates of one kind in memory: for kinds that are few, such as models and examinations."""

from asyncio import Lock
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from commands.ports import Ledger
from domain.events import Kind


class Register:
    """Folded from the ledger and brought up to date on demand."""

    def __init__(self, ledger: Ledger, kind: Kind) -> None:
        self._ledger, self._kind = ledger, kind
        self._sequence = 0
        self._states: dict[UUID, Any] = {}
        self._reading = Lock()

    async def refresh(self) -> Mapping[UUID, Any]:
        """The states by id, the least recently changed first. Raises Unavailable."""
        async with self._reading:
            async for recorded in self._ledger.read(self._sequence, self._kind.name):
                state = self._states.pop(recorded.aggregate_id, self._kind.initial)
                evolved = self._kind.evolve(state, recorded.event, recorded.id)
                self._states[recorded.aggregate_id] = evolved
                self._sequence = recorded.sequence
        return self._states
