"""Subscriptions: the loop reads ahead, the subscriber's thread takes what has come."""

from asyncio import Queue, create_task
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from eventsourcing.persistence import ApplicationRecorder, Notification, Subscription

from adapters.eventsourcing.loop import LoopThread
from commands.ports import Damaged, Unavailable

AHEAD_PIECES = 4

Notifications = AsyncGenerator[list[Notification], None]
Failure = Unavailable | Damaged


class Pump:
    """Keeps at most AHEAD_PIECES that nobody took yet. Lives on the loop."""

    def __init__(self, source: Notifications) -> None:
        self._arrived: Queue[list[Notification] | Failure] = Queue(AHEAD_PIECES)
        self._task = create_task(self._fill(source))

    async def take(self) -> list[Notification]:
        """What came next; nothing once stopped. Raises what ended it."""
        match await self._arrived.get():
            case list() as piece:
                return piece
            case failure:
                raise failure

    def stop(self) -> None:
        """Whoever waits in `take` is woken; when the queue is full, nobody waits."""
        self._task.cancel()
        if not self._arrived.full():
            self._arrived.put_nowait([])

    async def _fill(self, source: Notifications) -> None:
        try:
            async with aclosing(source) as pieces:
                async for piece in pieces:
                    await self._arrived.put(piece)
        except (Unavailable, Damaged) as failure:
            await self._arrived.put(failure)


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
        self._ready: deque[Notification] = deque()
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
            notification = self._ready.popleft()
            if not self._topics or notification.topic in self._topics:
                return notification
        raise StopIteration


async def _pump(source: Notifications) -> Pump:
    return Pump(source)
