"""Chaos: while clinicians work, a random role or server gets SIGKILL, again and again."""

import asyncio
from random import Random
from types import TracebackType
from typing import Self

from ictus.cli.options import tell
from ictus.roles import ROLES
from ictus.supervisor import Supervisor

SPACING_SECONDS = 4.0
VICTIMS = (*ROLES, "nats", "postgres")


class Chaos:
    """Kills `count` times while the body runs; the supervisor restarts what was killed."""

    def __init__(self, supervisor: Supervisor, count: int, random: Random) -> None:
        self._supervisor, self._count, self._random = supervisor, count, random
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._rage())
        return self

    async def finished(self) -> None:
        """Until the last blow has fallen."""
        assert self._task is not None
        await self._task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _rage(self) -> None:
        for number in range(1, self._count + 1):
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * SPACING_SECONDS)
            victim = self._random.choice(VICTIMS)
            tell(f"chaos {number}/{self._count}: SIGKILL to {victim}")
            self._supervisor.kill(victim)
