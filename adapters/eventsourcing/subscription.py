"""Subscriptions: the loop reads ahead, the subscriber's thread takes what has come."""

from asyncio import Queue, create_task
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

from adapters.eventsourcing.loop import LoopThread, library_errors
from commands.ports import Damaged, Unavailable

AHEAD_MAX = 1000

Notifications = AsyncGenerator[Notification, None]
Arrival = Notification | Unavailable | Damaged | None


class Pump:
    """Keeps at most AHEAD_MAX notifications that nobody took yet. Lives on the loop."""

    def __init__(self, source: Notifications) -> None:
        self._arrived: Queue[Arrival] = Queue(AHEAD_MAX)
        self._task = create_task(self._fill(source))

    async def take(self) -> list[Arrival]:
        """What has arrived, at least one; an exception or None is the last."""
        taken = [await self._arrived.get()]
        while not self._arrived.empty():
            taken.append(self._arrived.get_nowait())
        return taken

    def stop(self) -> None:
        """Whoever waits in `take` is told; in a full queue nobody waits."""
        self._task.cancel()
        if not self._arrived.full():
            self._arrived.put_nowait(None)

    async def _fill(self, source: Notifications) -> None:
        try:
            async with aclosing(source) as notifications:
                async for notification in notifications:
                    await self._arrived.put(notification)
        except (Unavailable, Damaged) as error:
            await self._arrived.put(error)


class JetStreamSubscription(Subscription[ApplicationRecorder]):
    """Blocks in `next` until `source` has more; `stop` works from any thread."""

    def __init__(
        self,
        recorder: ApplicationRecorder,
        gt: int | None,
        topics: Sequence[str],
        thread: LoopThread,
        source: Notifications,
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._thread = thread
        self._ready: deque[Arrival] = deque()
        self._pump = thread.run(_pump(source))

    def stop(self) -> None:
        if not self._has_been_stopped:
            super().stop()
            self._thread.call_soon(self._pump.stop)

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if not self._ready:
                self._ready.extend(self._thread.run(self._pump.take()))
                continue
            arrival = self._ready.popleft()
            if isinstance(arrival, Notification):
                if not self._topics or arrival.topic in self._topics:
                    return arrival
            elif arrival:
                with library_errors():
                    raise arrival
        raise StopIteration


async def _pump(source: Notifications) -> Pump:
    return Pump(source)
