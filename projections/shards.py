"""Many hands for one build: cases dealt by hash to processes, each folding whole cases.

A process is told events undecoded, says who its cases are, hears which of them are not alone, and
returns its leaves, some at a time. What comes out does not depend on the number of processes.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from heapq import merge
from itertools import chain, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Protocol, TypeVar
from uuid import UUID
from zlib import crc32

from msgspec import msgpack

from commands.ports import Unavailable
from projections.groups import Group, Member
from projections.shard import WANTED, Leaf, Shard, Stored, address_of
from projections.spec import Spec

SHARDS_MAX = 64
EVENTS_TOGETHER = 1000
LEAVES_TOGETHER = 1000
END_SECONDS_MAX = 5.0

T = TypeVar("T")
Groups = dict[UUID, Group]
"""Of the cases that are not alone."""


class Fold(Protocol):
    """Where the cases are: here, or in other processes. Raises Unavailable when one of them ends."""

    async def take(self, events: Sequence[Stored]) -> None: ...
    async def members(self) -> list[Member]: ...
    def leaves(self, groups: Groups, spec: Spec) -> Iterable[Leaf]:
        """In the order of cases. Blocks: to be called, and read, on a thread."""
        ...


@asynccontextmanager
async def dealt(shards: int, until: int) -> AsyncIterator[Fold]:
    """One shard is folded in this process."""
    if shards == 1:
        yield Here(until)
        return
    hands: list[Hand] = []
    try:
        hands.extend(Hand(until) for _ in range(shards))
        yield Processes(hands)
    finally:
        await asyncio.to_thread(_dismiss, hands)


class Here:
    """Implements Fold."""

    def __init__(self, until: int) -> None:
        self._shard = Shard(until)

    async def take(self, events: Sequence[Stored]) -> None:
        self._shard.take(each for each in events if address_of(each[1]).type in WANTED)

    async def members(self) -> list[Member]:
        return self._shard.members()

    def leaves(self, groups: Groups, spec: Spec) -> Iterable[Leaf]:
        return self._shard.leaves(groups, spec)


class Processes:
    """Implements Fold."""

    def __init__(self, hands: Sequence["Hand"]) -> None:
        self._hands = hands
        self._waiting: list[list[Stored]] = [[] for _ in hands]

    async def take(self, events: Sequence[Stored]) -> None:
        for stored in events:
            address = address_of(stored[1])
            if address.type in WANTED:
                self._waiting[number(address.subject, len(self._hands))].append(stored)
        await self._hand_out(EVENTS_TOGETHER)

    async def members(self) -> list[Member]:
        await self._hand_out(1)
        for hand in self._hands:
            hand.tell([])
        return list(
            chain.from_iterable(
                [await asyncio.to_thread(hand.hear, list[Member]) for hand in self._hands]
            )
        )

    def leaves(self, groups: Groups, spec: Spec) -> Iterable[Leaf]:
        told: list[Groups] = [{} for _ in self._hands]
        for case, group in groups.items():
            told[number(f"case/{case}", len(told))][case] = group
        for hand, its in zip(self._hands, told, strict=True):
            hand.tell((its, spec))
        return merge(*(hand.leaves() for hand in self._hands), key=lambda leaf: leaf.case)

    async def _hand_out(self, events_min: int) -> None:
        for number, waiting in enumerate(self._waiting):
            if len(waiting) >= events_min:
                self._waiting[number] = []
                await asyncio.to_thread(self._hands[number].tell, waiting)


class Hand:
    """One process, and our end of the line to it."""

    def __init__(self, until: int) -> None:
        self._end, other = _context.Pipe()
        self._process = _context.Process(target=work, args=(other, until), daemon=True)
        self._process.start()
        other.close()

    def tell(self, what: Any) -> None:
        with self._listening():
            self._end.send_bytes(msgpack.encode(what))

    def hear(self, kind: type[T]) -> T:
        with self._listening():
            return msgpack.decode(self._end.recv_bytes(), type=kind)

    def leaves(self) -> Iterator[Leaf]:
        while some := self.hear(list[Leaf]):
            yield from some

    def let_go(self) -> None:
        self._end.close()

    def end(self) -> None:
        self._process.join(END_SECONDS_MAX)
        self._process.kill()
        self._process.join()
        self._process.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(END_SECONDS_MAX)
            raise Unavailable(
                f"a process of the build ended early (exit code {self._process.exitcode});"
                " with fewer shards it needs less memory"
            ) from error


def work(end: Connection, until: int) -> None:
    """What a process does. It ends when nobody is at the other end any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shard = Shard(until)
    with suppress(EOFError, OSError):
        while events := msgpack.decode(end.recv_bytes(), type=list[Stored]):
            shard.take(events)
        end.send_bytes(msgpack.encode(shard.members()))
        groups, spec = msgpack.decode(end.recv_bytes(), type=tuple[Groups, Spec])
        leaves = shard.leaves(groups, spec)
        while some := list(islice(leaves, LEAVES_TOGETHER)):
            end.send_bytes(msgpack.encode(some))
        end.send_bytes(msgpack.encode([]))


def number(subject: str, shards: int) -> int:
    """Which shard a case belongs to, by its subject `case/<id>`."""
    return crc32(subject.encode()) % shards


def _dismiss(hands: Sequence[Hand]) -> None:
    for hand in hands:
        hand.let_go()
    for hand in hands:
        hand.end()


_context = get_context("forkserver")
# Forked from a process that has imported all this once and has no threads: milliseconds each.
_context.set_forkserver_preload(["__main__", __name__])
