"""Chaos: while clinicians work, a random role or server gets SIGKILL, again and again."""

import asyncio
from random import Random

from ictus.cli.options import tell
from ictus.roles import STANDING
from ictus.supervisor import Supervisor

DELAY_SECONDS_MAX = 1.5
VICTIMS = (*STANDING, "nats", "postgres")


class Chaos:
    """Spreads `count` kills over the sending of `cases`; the supervisor restarts what was killed.

    Victims come from a shuffled deck, so that nine blows hit everything once.
    """

    def __init__(self, supervisor: Supervisor, count: int, cases: int, random: Random) -> None:
        self._supervisor, self._random = supervisor, random
        self._at = [1 + number * cases // max(1, count) for number in range(count)]
        self._blows: list[asyncio.Task[None]] = []
        self._deck: list[str] = []
        self._sent = 0

    def case_sent(self) -> None:
        """Called for every case as its photos leave the phone: some of them are hit."""
        self._sent += 1
        for _ in range(self._at.count(self._sent)):
            self._blows.append(asyncio.create_task(self._strike(len(self._blows) + 1)))

    async def finished(self) -> None:
        """Until the last blow has fallen."""
        await asyncio.gather(*self._blows)

    async def _strike(self, number: int) -> None:
        self._deck = self._deck or self._random.sample(VICTIMS, len(VICTIMS))
        victim = self._deck.pop()
        await asyncio.sleep(self._random.uniform(0, DELAY_SECONDS_MAX))
        tell(f"chaos {number}/{len(self._at)}: SIGKILL to {victim}")
        self._supervisor.kill(victim)
