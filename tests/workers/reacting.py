"""Worlds in which workers react: a ledger, a queue, notes; and processes that die at any moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from nats.aio.client import Client

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryBoard, MemoryLedger, MemoryQueue, MemoryVault
from adapters.storage.queue import BucketBoard, JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS, LEDGER
from commands import dead_letters
from commands.ports import Board, Ledger, Message, Queue
from commands.register import Register
from commands.transact import Books, from_outside
from domain import person
from domain.dead_letter import Line
from domain.events import DEAD_LETTER, Recorded
from domain.identity import Instant, reaction as derived
from domain.person import Consented
from tests.givens import Given
from workers import attempts, loop
from workers.letters import Post
from workers.reactor import Done, Outcome, Reaction, aggregate_key, on_event
from workers.retries import retries

NAME = "answer"
SUBJECTS = ("ictus.ev.*.person.*.consented",)
SECONDS_MAX = 60.0
ACK_WAIT_S = 0.3


class Now:
    def now(self) -> Instant:
        return datetime.now(UTC)


class Patient(NamedTuple):
    """An aggregate whose events the worker handles, told apart by their notices."""

    id: UUID

    @property
    def line(self) -> UUID:
        return derived(self.id, f"line/{NAME}")


class World:
    """What outlives every process: streams, notes, what was handled, and which notices are poison."""

    def __init__(self, ledger: Ledger, queue: Queue, board: Board) -> None:
        self.given = Given(ledger)
        self.post = Post(
            Books(ledger, MemoryVault(), Now()), queue, board, LEDGER, DEAD_LETTERS, "test"
        )
        self.handled: list[tuple[UUID, str]] = []
        self.poison: set[str] = set()
        self.tries: list[str] = []

    @classmethod
    def in_memory(cls, ack_wait_s: float = ACK_WAIT_S) -> "World":
        ledger = MemoryLedger()
        return cls(ledger, MemoryQueue(ledger, ack_wait_s), MemoryBoard())

    @classmethod
    def on(cls, client: Client, ack_wait_s: float = 1.0) -> "World":
        queue = JetStreamQueue(client, ack_wait_s)
        return cls(JetStreamLedger(client), queue, BucketBoard(client))

    async def happen(self, patient: Patient, *notices: str) -> None:
        for notice in notices:
            event = Consented(notice=notice, language="en", text_sha256="0" * 64)
            await self.given.happened(person.NAME, patient.id, event)

    async def react(self, recorded: Recorded) -> Outcome:
        assert isinstance(recorded.event, Consented)
        notice = recorded.event.notice
        self.tries.append(notice)
        if notice in self.poison:
            raise ZeroDivisionError(notice)
        self.handled.append((recorded.aggregate_id, notice))
        return Done()

    def reaction(self, **more: Any) -> Reaction:
        return Reaction(NAME, LEDGER, SUBJECTS, on_event(self.react), aggregate_key, **more)

    def handled_of(self, patient: Patient) -> list[str]:
        """Each once, in the order in which they were first handled."""
        return list(dict.fromkeys(notice for id_, notice in self.handled if id_ == patient.id))

    async def line(self, patient: Patient) -> Line:
        return await dead_letters.load(self.post.books.ledger, patient.line)

    async def standings(self, patient: Patient) -> list[tuple[str, str]]:
        """Who is in line with which notice."""
        history = await self.post.books.ledger.load(person.NAME, patient.id)
        notices = {r.sequence: r.event.notice for r in history if isinstance(r.event, Consented)}
        line = await self.line(patient)
        return [(notices[each.parked.sequence], each.standing) for each in line.letters.values()]

    async def is_held(self, patient: Patient) -> bool:
        """Has a failure been noted?"""
        return bool((await attempts.read(self.post.board, f"{NAME}/{patient.line}")).failed)

    async def letters(self) -> Mapping[UUID, Line]:
        return await Register(self.post.books.ledger, DEAD_LETTER).refresh()

    async def retry(self, patient: Patient) -> bool:
        """As the operator."""
        head = (await self.line(patient)).head
        assert head is not None
        return await self.retry_letter(patient.line, head.parked.letter)

    async def retry_letter(self, line: UUID, letter: UUID) -> bool:
        request = from_outside(self.post.books, uuid4(), "system", "cli")
        return await dead_letters.retry(self.post.books, request, line, letter)

    async def discard(self, patient: Patient, letter: UUID) -> bool:
        request = from_outside(self.post.books, uuid4(), "system", "cli")
        return await dead_letters.discard(
            self.post.books, request, patient.line, letter, "not-needed"
        )


@asynccontextmanager
async def process(
    world: World, post: Post | None = None, reaction: Reaction | None = None
) -> AsyncIterator[None]:
    """One process of the worker; at the end of the block it is gone at once, as by SIGKILL."""
    reaction, post = reaction or world.reaction(ordered=True), post or world.post
    loops = [
        asyncio.create_task(loop.run(reaction, post)),
        asyncio.create_task(loop.run(retries(reaction, post), post)),
    ]
    try:
        yield
    finally:
        while any(not task.done() for task in loops):
            for task in loops:
                task.cancel()
            await asyncio.sleep(0)
        ends = await asyncio.gather(*loops, return_exceptions=True)
        for end in ends:
            if not isinstance(end, asyncio.CancelledError):
                raise AssertionError("a loop ended by itself") from end  # type: ignore[misc]


async def eventually(is_so: Callable[[], Awaitable[bool]], what: str) -> None:
    clock = asyncio.get_running_loop().time
    give_up = clock() + SECONDS_MAX
    while not await is_so():
        assert clock() < give_up, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


class Mortal:
    """Lets a process do so many calls of the world, then it is dead: nothing it does has effects."""

    def __init__(self, calls_max: int) -> None:
        self.calls_max = calls_max
        self.calls = 0
        self.dead = asyncio.Event()

    async def point(self) -> None:
        self.calls += 1
        if self.calls >= self.calls_max:
            self.dead.set()
            await asyncio.Event().wait()

    def post(self, post: Post, calls_of_streams_only: bool = False) -> Post:
        queue = _DyingQueue(post.queue, self)
        if calls_of_streams_only:
            return post._replace(queue=queue)  # type: ignore[arg-type]
        ledger = _Dying(post.books.ledger, self, ("append", "load"))
        board = _Dying(post.board, self, ("read", "write"))
        return post._replace(
            books=post.books._replace(ledger=ledger),  # type: ignore[arg-type]
            board=board,  # type: ignore[arg-type]
            queue=queue,  # type: ignore[arg-type]
        )


class _Dying:
    """Each named call may be the last: before it has an effect, or after and unheard."""

    def __init__(self, inner: Any, life: Mortal, calls: Sequence[str]) -> None:
        self._inner, self._life, self._calls = inner, life, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._calls:
            return found

        async def call(*args: Any, **more: Any) -> Any:
            await self._life.point()
            result = await found(*args, **more)
            await self._life.point()
            return result

        return call


class _DyingQueue(_Dying):
    def __init__(self, inner: Queue, life: Mortal) -> None:
        super().__init__(inner, life, ("publish", "latest"))

    async def consume(
        self,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        room: Callable[[], int] = lambda: 1,
    ) -> AsyncIterator[Message]:
        async for message in self._inner.consume(stream, durable, subjects, room):
            yield _Dying(message, self._life, ("ack", "retry", "working"))  # type: ignore[misc]
