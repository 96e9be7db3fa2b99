"""The loop of every worker: consume, react, acknowledge by what came of it.

Messages with the same key are handled one after the other, others side by side. What fails is tried
again after a while, FAILURES_MAX times in all, and then set aside, so that it never blocks the rest;
what comes after it of the same case, where the reaction is `ordered`, waits for it and is set aside
behind it. Of two messages that two processes take in hand at the same moment either may be first.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from random import uniform
from typing import assert_never

from commands import dead_letters
from commands.ports import Message, Unavailable
from workers import attempts
from workers.attempts import Note
from workers.letters import (
    FAILURES_MAX,
    RETRY_SECONDS,
    Place,
    Post,
    died,
    place_of,
    set_aside,
    wait_behind,
)
from workers.reactor import AWAY_SECONDS, Done, Failed, Ignored, Poison, Reaction, Retry, attempt

log = logging.getLogger("ictus.reactor")

HEARTBEAT_SECONDS = 4
CONCURRENT_MAX = 16
DRAIN_SECONDS_MAX = 5.0
TURN_SECONDS, TURN_SECONDS_MAX = 0.2, 5.0
JITTER = (1.0, 1.3)

Settled = Done | Ignored | Retry | Poison


async def run(reaction: Reaction, post: Post) -> None:
    """Reacts until cancelled, then finishes what is in hand, for DRAIN_SECONDS_MAX at most."""
    gate = asyncio.Semaphore(CONCURRENT_MAX)
    worker = _Worker(reaction, post)
    tasks: set[asyncio.Task[None]] = set()
    work = post.queue.consume(
        reaction.stream, reaction.name, reaction.subjects, lambda: CONCURRENT_MAX - len(tasks)
    )

    def put_down(task: asyncio.Task[None]) -> None:
        gate.release()
        tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("not settled", extra={"cause": type(task.exception()).__name__})

    try:
        async for message in work:
            await gate.acquire()
            task = asyncio.create_task(worker.handle(message))
            tasks.add(task)
            task.add_done_callback(put_down)
    finally:
        await _finish(tasks)


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """What is not finished in time is cancelled and will be delivered again."""
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=DRAIN_SECONDS_MAX)
    finally:
        for task in tasks:
            task.cancel()


class _Worker:
    """One process at one reaction. `put_back` are messages whose return it knows the reason of."""

    def __init__(self, reaction: Reaction, post: Post) -> None:
        self._reaction, self._post = reaction, post
        self._keyed = _Keyed()
        self._put_back: set[int] = set()

    async def handle(self, message: Message) -> None:
        async with in_hand(message), self._keyed.turn(self._reaction.key(message)):
            started = time.monotonic()
            outcome = await self._outcome(message)
            settled = await self._settle(message, outcome)
            log.info(
                "reacted",
                extra={
                    "reaction": self._reaction.name,
                    "sequence": message.sequence,
                    "outcome": type(outcome).__name__.lower() if settled else "unsettled",
                    "ms": round((time.monotonic() - started) * 1000),
                },
            )

    async def _outcome(self, message: Message) -> Settled:
        try:
            if self._reaction.ordered or message.deliveries > 1:
                return await self._in_line(message)
            return await self._tried(message, None, Note())
        except Unavailable as away:
            extra = {"reaction": self._reaction.name, "cause": str(away)[:200]}
            log.warning("unavailable", extra=extra)
            return Retry(AWAY_SECONDS)

    async def _in_line(self, message: Message) -> Settled:
        """The note is read before the line: whoever leaves the note has entered the line before."""
        place = await place_of(self._reaction, self._post, message)
        note = await attempts.read(self._post.board, place.note)
        if not note.admits(message.sequence):
            await self._change(place, attempts.joined, message)
            return Retry(min(TURN_SECONDS * message.deliveries, TURN_SECONDS_MAX))
        line = await dead_letters.load(self._post.books.ledger, place.line)
        if line.knows(place.letter):
            return await self._left(message, place, note, Ignored())
        if self._reaction.ordered and line.blocks(message.sequence):
            if not await wait_behind(self._reaction, self._post, message, place):
                return Retry(TURN_SECONDS)
            return await self._left(message, place, note, Poison("behind"))
        if message.deliveries == 1 or message.sequence in self._put_back:
            return await self._tried(message, place, note)
        return await self._come_back(message, place, note)

    async def _come_back(self, message: Message, place: Place, note: Note) -> Settled:
        """Nobody here knows why: it may have killed its worker, so the attempt is counted first."""
        if note.attempts >= FAILURES_MAX:
            return await self._poisoned(message, place, note.failed or died(self._reaction), note)
        note = await self._change(place, attempts.counted, message)
        return await self._tried(message, place, note, is_counted=True)

    async def _tried(
        self, message: Message, place: Place | None, note: Note, *, is_counted: bool = False
    ) -> Settled:
        result = await attempt(self._reaction.name, partial(self._reaction.react, message))
        if isinstance(result, Failed):
            place = place or await place_of(self._reaction, self._post, message)
            return await self._failed(message, place, result, is_counted)
        if isinstance(result, Retry):
            if place and is_counted:
                await self._change(place, attempts.uncounted, message)
            return result
        return await self._left(message, place, note, result)

    async def _failed(
        self, message: Message, place: Place, failed: Failed, is_counted: bool
    ) -> Settled:
        def failing(note: Note, sequence: int) -> Note:
            note = note if is_counted else attempts.counted(note, sequence)
            return attempts.with_failure(note, failed)

        note = await self._change(place, failing, message)
        log.error(
            "failed",
            extra={
                "reaction": self._reaction.name,
                "sequence": message.sequence,
                "attempt": note.attempts,
                "cause": f"{failed.error} at {failed.place}",
            },
        )
        if failed.lasting or note.attempts >= FAILURES_MAX:
            return await self._poisoned(message, place, failed, note)
        return Retry(RETRY_SECONDS[note.attempts - 1])

    async def _poisoned(
        self, message: Message, place: Place, failed: Failed, note: Note
    ) -> Settled:
        await set_aside(self._reaction, self._post, message, place, failed, note.attempts)
        return await self._left(message, place, note, Poison(failed.cause))

    async def _left(
        self, message: Message, place: Place | None, note: Note, outcome: Settled
    ) -> Settled:
        if place and message.sequence in note.sequences:
            await self._change(place, attempts.left, message)
        return outcome

    async def _change(self, place: Place, how: "attempts.Change", message: Message) -> Note:
        return await attempts.change(
            self._post.board, place.note, lambda note: how(note, message.sequence)
        )

    async def _settle(self, message: Message, outcome: Settled) -> bool:
        """Acknowledges; what the server does not hear now, it delivers again later."""
        self._put_back.discard(message.sequence)
        try:
            match outcome:
                case Done() | Ignored() | Poison():
                    await message.ack()
                case Retry(after_s):
                    await message.retry(after_s * uniform(*JITTER))
                    self._put_back.add(message.sequence)
                case _:
                    assert_never(outcome)
        except Unavailable:
            return False
        return True


@asynccontextmanager
async def in_hand(message: Message) -> AsyncIterator[None]:
    """While it waits for its turn and is at work, it is not delivered to anybody else."""
    beating: list[asyncio.Task[None]] = []

    def begin() -> None:
        beating.append(asyncio.create_task(_heartbeat(message)))

    timer = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, begin)
    try:
        yield
    finally:
        timer.cancel()
        for heartbeat in beating:
            heartbeat.cancel()


async def _heartbeat(message: Message) -> None:
    while True:
        with suppress(Unavailable):
            await message.working()
        await asyncio.sleep(HEARTBEAT_SECONDS)


class _Keyed:
    """One lock per key while anybody waits for it, first come, first served."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        self._waiting[key] += 1
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]
