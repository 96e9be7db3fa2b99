"""The loop of every worker: consume, react, acknowledge by what came of it.

Delivery is at least once: a message is acknowledged only after its effects are durable, so reacting
twice must change nothing. Messages with the same key are handled one after the other, others side
by side. What cannot be handled is tried a few times and then set aside in the dead-letter stream,
so that it never blocks the rest.
"""

import asyncio
import logging
import time
import traceback
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import NamedTuple, TypeVar, assert_never

import msgspec
from msgspec import Struct

from commands.ports import Erased, Message, Queue, Unavailable
from domain.errors import Refused
from domain.events import Recorded, decode

log = logging.getLogger("ictus.reactor")
T = TypeVar("T")

FAILURES_MAX = 5
RETRY_SECONDS = (0.5, 1, 2, 5, 10)
HEARTBEAT_SECONDS = 4
CONCURRENT_MAX = 16
DRAIN_SECONDS_MAX = 5.0


class Done(Struct, frozen=True):
    """Its effects are durable."""


class Ignored(Struct, frozen=True):
    """Nothing to do: not ours, overtaken, or done before."""


class Retry(Struct, frozen=True):
    """The world is away; try again after a while, for as long as it takes."""

    after_s: float = 1.0


class Poison(Struct, frozen=True):
    """It will never work: set aside with the reason (an enum word, never a payload)."""

    reason: str


Outcome = Done | Ignored | Retry | Poison


class Reaction(NamedTuple):
    """What one durable consumer does. `key` orders, `give_up` speaks when it became poison."""

    name: str
    stream: str
    subjects: Sequence[str]
    react: Callable[[Message], Awaitable[Outcome]]
    key: Callable[[Message], str]
    give_up: Callable[[Message], Awaitable[None]] | None = None


class DeadLetter(Struct, frozen=True, kw_only=True):
    """`fingerprint` groups failures of the same cause; `data` is the message as it came."""

    consumer: str
    subject: str
    sequence: int
    reason: str
    fingerprint: str
    attempts: int
    data: bytes


async def run(reaction: Reaction, queue: Queue) -> None:
    """Reacts until cancelled, then finishes what is in hand, for DRAIN_SECONDS_MAX at most."""
    gate = asyncio.Semaphore(CONCURRENT_MAX)
    keyed = _Keyed()
    failures: dict[int, int] = defaultdict(int)
    in_hand: set[asyncio.Task[None]] = set()

    def put_down(task: asyncio.Task[None]) -> None:
        gate.release()
        in_hand.discard(task)
        if not task.cancelled() and task.exception():
            log.error("not settled", extra={"cause": type(task.exception()).__name__})

    try:
        async for message in queue.consume(reaction.stream, reaction.name, reaction.subjects):
            await gate.acquire()
            task = asyncio.create_task(_handle(reaction, queue, message, keyed, failures))
            in_hand.add(task)
            task.add_done_callback(put_down)
    finally:
        await _finish(in_hand)


async def _finish(in_hand: set[asyncio.Task[None]]) -> None:
    """What is not finished in time is cancelled and will be delivered again."""
    try:
        if in_hand:
            await asyncio.wait(in_hand, timeout=DRAIN_SECONDS_MAX)
    finally:
        for task in in_hand:
            task.cancel()


def on_event(react: Callable[[Recorded], Awaitable[T]]) -> Callable[[Message], Awaitable[T]]:
    """Lets a reaction take the ledger's events instead of raw messages."""

    async def react_to(message: Message) -> T:
        return await react(decode(message.sequence, message.data))

    return react_to


def aggregate_key(message: Message) -> str:
    """The order of `ictus.<…>.<part>.<aggregate>.<id>…` subjects: one aggregate at a time."""
    return ".".join(message.subject.split(".")[2:5])


async def _handle(
    reaction: Reaction,
    queue: Queue,
    message: Message,
    keyed: "_Keyed",
    failures: dict[int, int],
) -> None:
    async with _in_hand(message), keyed.turn(reaction.key(message)):
        started = time.monotonic()
        outcome = await _react(reaction, message, failures)
        settled = await _settle(reaction, queue, message, outcome, failures)
        log.info(
            "reacted",
            extra={
                "reaction": reaction.name,
                "sequence": message.sequence,
                "outcome": type(outcome).__name__.lower() if settled else "unsettled",
                "ms": round((time.monotonic() - started) * 1000),
            },
        )


async def _react(reaction: Reaction, message: Message, failures: dict[int, int]) -> Outcome:
    try:
        return await reaction.react(message)
    except Unavailable as away:
        log.warning("unavailable", extra={"reaction": reaction.name, "cause": str(away)[:200]})
        return Retry(1.0)
    except Erased:
        return Ignored()
    except (msgspec.ValidationError, msgspec.DecodeError):
        return Poison("not-understood")
    except Refused as refused:
        return Poison(f"refused:{type(refused).__name__}")
    except Exception as bug:  # noqa: BLE001  the boundary: a bug in one message must not stop the rest
        return _failed(reaction, message, failures, bug)


def _failed(
    reaction: Reaction, message: Message, failures: dict[int, int], bug: Exception
) -> Outcome:
    failures[message.sequence] += 1
    count = failures[message.sequence]
    where = traceback.extract_tb(bug.__traceback__)[-1]
    log.error(
        "failed",
        extra={
            "reaction": reaction.name,
            "sequence": message.sequence,
            "attempt": count,
            "cause": f"{type(bug).__name__} at {where.filename.rsplit('/', 1)[-1]}:{where.lineno}",
        },
    )
    if count < FAILURES_MAX:
        return Retry(RETRY_SECONDS[min(count, len(RETRY_SECONDS)) - 1])
    return Poison(f"{type(bug).__name__}:{where.name}")


async def _settle(
    reaction: Reaction,
    queue: Queue,
    message: Message,
    outcome: Outcome,
    failures: dict[int, int],
) -> bool:
    """Acknowledges; what the server does not hear now, it delivers again later."""
    try:
        match outcome:
            case Done() | Ignored():
                await message.ack()
            case Retry(after_s):
                await message.retry(after_s)
            case Poison(reason):
                await _set_aside(reaction, queue, message, reason, failures)
                await message.ack()
            case _:
                assert_never(outcome)
    except Unavailable:
        return False
    if not isinstance(outcome, Retry):
        failures.pop(message.sequence, None)
    return True


async def _set_aside(
    reaction: Reaction, queue: Queue, message: Message, reason: str, failures: dict[int, int]
) -> None:
    await _give_up(reaction, message)
    letter = DeadLetter(
        consumer=reaction.name,
        subject=message.subject,
        sequence=message.sequence,
        reason=reason,
        fingerprint=sha256(f"{reaction.name}/{reason}".encode()).hexdigest()[:16],
        attempts=failures[message.sequence] or 1,
        data=message.data,
    )
    subject = f"ictus.dlq.{reaction.name}.{reaction.key(message)}"
    message_id = f"{reaction.name}:{reaction.stream}:{message.sequence}"
    await queue.publish(subject, msgspec.json.encode(letter), message_id=message_id)
    log.error("set aside", extra={"reaction": reaction.name, "sequence": message.sequence})


async def _give_up(reaction: Reaction, message: Message) -> None:
    """What nobody can speak about any more is set aside all the same."""
    if reaction.give_up is None:
        return
    try:
        await reaction.give_up(message)
    except Unavailable:
        raise
    except Exception as bug:  # noqa: BLE001  the boundary: poison must not block the rest
        extra = {"reaction": reaction.name, "cause": type(bug).__name__}
        log.error("gave up in silence", extra=extra)


@asynccontextmanager
async def _in_hand(message: Message) -> AsyncIterator[None]:
    """While it waits for its turn and is at work, it is not delivered to anybody else."""
    heartbeat = asyncio.create_task(_heartbeat(message))
    try:
        yield
    finally:
        heartbeat.cancel()


async def _heartbeat(message: Message) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            await message.working()
        except Unavailable:
            continue


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
