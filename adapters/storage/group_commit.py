"""Group commit: events of different aggregates that wait at the same time are stored as one batch.

The server syncs the disk for every message, but only once for a batch. There is no timer: while one
group is under way the next one gathers. A batch costs the server as much as about ten messages
(4 to 5 ms), so whoever is alone or in small company goes as a plain message.
"""

from asyncio import Future, Task, create_task, gather, get_running_loop, sleep
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from adapters.storage.commits import Entry
from adapters.storage.nats_connection import Answer

GROUP_EVENTS_MAX = 256
WORTH_A_BATCH = 10

Store = Callable[[Sequence[Entry]], Awaitable[Answer | None]]
"""Stores all entries or none; None when no answer came."""


class Waiting(NamedTuple):
    entry: Entry
    answer: Future[Answer | None]


class GroupCommit:
    """Commits of one event each, stored together; each gets its own answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Waiting] = []
        self._storing: Task[None] | None = None

    async def store(self, entry: Entry) -> Answer | None:
        """As if `entry` had been stored alone."""
        waiting = Waiting(entry, get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None:
            self._storing = create_task(self._store_all())
        return await waiting.answer

    async def _store_all(self) -> None:
        try:
            while group := self._next_group():
                await self._settle(group)
                await sleep(0)  # whoever was just answered may have more for the next group
        finally:
            self._storing = None

    def _next_group(self) -> list[Waiting]:
        """Those that came first, one per aggregate; without those nobody waits for any more."""
        group: dict[str, Waiting] = {}
        later: list[Waiting] = []
        for each in self._waiting:
            if each.answer.done():
                continue
            if len(group) == GROUP_EVENTS_MAX or each.entry.filter in group:
                later.append(each)
            else:
                group[each.entry.filter] = each
        self._waiting = later
        return list(group.values())

    async def _settle(self, group: Sequence[Waiting]) -> None:
        """A refused batch names nobody, so its members are asked again one by one."""
        outcome = await self._outcome(group) if len(group) >= WORTH_A_BATCH else REFUSED
        if isinstance(outcome, Answer) and outcome.seq:
            for place, each in enumerate(group, start=1 - len(group)):
                _tell(each, Answer(seq=outcome.seq + place))
        elif outcome is None:
            for each in group:
                _tell(each, None)
        else:
            await gather(*(self._settle_alone(each) for each in group))

    async def _settle_alone(self, waiting: Waiting) -> None:
        _tell(waiting, await self._outcome([waiting]))

    async def _outcome(self, group: Sequence[Waiting]) -> Answer | BaseException | None:
        """What storing them brought, be it an error: it belongs to those who wait."""
        stored = self._store([each.entry for each in group])
        (outcome,) = await gather(stored, return_exceptions=True)
        return outcome


REFUSED = Answer()


def _tell(waiting: Waiting, outcome: Answer | BaseException | None) -> None:
    if waiting.answer.done():
        return
    if isinstance(outcome, BaseException):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)
