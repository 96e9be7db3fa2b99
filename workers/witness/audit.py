"""`ictus audit verify`: reads everything in every place it is kept, and says where it differs.

The places are read side by side, 256 events at a time, and each is hashed into a tree of its own.
A place is whole when its tree has the signed head; one that is not is compared with one that is, so
that the first bad sequence can be named.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import combinations
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Blobs, Damaged, Database, Head, Missing
from domain.events import NO_HASH, payload_hash
from domain.identity import subject
from domain.merkle import Edge, leaf_hash
from workers.witness import notes, rows
from workers.witness.archive import Archive, check_chain
from workers.witness.notes import Checkpoint, PublicKey, log_name
from workers.witness.stream import Stored, Stream
from workers.witness.tiles import CHECKPOINT, WIDTH, Tiles, tile_root

Where = Literal["stream", "postgres", "tiles", "archive", "heads"]
ABSENT = bytes(32)
CATCH_UP_TRIES, CATCH_UP_SECONDS = 20, 0.25


class Means(Struct, frozen=True):
    """What an audit reads; it writes nothing."""

    stream: Stream
    blobs: Blobs
    database: Database
    key: PublicKey


class Finding(Struct, frozen=True):
    """Something that is not as it was witnessed, from `sequence` on."""

    where: Where
    sequence: int
    what: str


class Report(Struct, frozen=True):
    """Events 1 to `witnessed` were compared in every place, those up to `head` are in the stream
    only; `findings` has the first bad sequence of each place, none when everything is whole."""

    whole: bool
    ledger: UUID
    origin: str
    key: str
    witnessed: int
    root: str
    head: int
    findings: tuple[Finding, ...]

    @property
    def unwitnessed(self) -> int:
        return max(0, self.head - self.witnessed)


class Links(Struct, frozen=True):
    """The part of an event that says what the message around it must be."""

    id: str
    type: str
    subject: str
    prevhash: str


class Findings:
    """The first one of each place; `note` may be told them in any order."""

    def __init__(self) -> None:
        self._first: dict[Where, Finding] = {}

    def note(self, where: Where, sequence: int, what: str) -> None:
        known = self._first.get(where)
        if known is None or sequence < known.sequence:
            self._first[where] = Finding(where, sequence, what)

    def has(self, where: Where) -> bool:
        return where in self._first

    def found(self) -> tuple[Finding, ...]:
        return tuple(sorted(self._first.values(), key=lambda each: (each.sequence, each.where)))


class Place:
    """One place's events: `read` gives the leaf hashes of a block, ABSENT for what is not there."""

    def __init__(self, where: Where, read: Callable[[int], Awaitable[list[bytes]]]) -> None:
        self.where, self.read = where, read
        self.edge = Edge()
        self.refuted_at: int | None = None
        """The smallest size at which a signed head is not this place's."""

    def take(self, hashes: Iterable[bytes], first: int, heads: dict[int, bytes]) -> None:
        for sequence, each in enumerate(hashes, first):
            self.edge.append(each)
            head = heads.get(sequence)
            if head is not None and self.refuted_at is None and head != self.edge.root():
                self.refuted_at = sequence


async def verify(means: Means) -> Report:
    """Raises Unavailable when a place cannot be asked."""
    head = await means.stream.head()
    return await Audit(means, head).run()


class Audit:
    """One reading of everything."""

    def __init__(self, means: Means, head: Head) -> None:
        self._means, self._head = means, head
        self._name = log_name(head.ledger)
        self._findings = Findings()
        self._chain = Chain(self._findings)
        self._differ: dict[tuple[int, int], int] = {}
        """By pair of places: the first sequence at which they differ."""

    async def run(self) -> Report:
        checkpoint = await self._checkpoint()
        size = await self._size(checkpoint)
        # Appended meanwhile: what was witnessed must be there, what came later is the tail.
        self._head = await self._means.stream.head()
        places = self._places(size)
        for index in range(-(-size // WIDTH)):
            await self._block(index, size, places, checkpoint)
        self._judge(size, places, checkpoint)
        await self._upper_tiles(Tiles(self._means.blobs, size))
        await self._tail(size)
        found = self._findings.found()
        return Report(
            whole=not found,
            ledger=self._head.ledger,
            origin=self._head.origin,
            key=notes.verifier_key(self._name, self._means.key.public),
            witnessed=size,
            root=checkpoint.root.hex() if checkpoint else "",
            head=self._head.sequence,
            findings=found,
        )

    # Heads

    async def _checkpoint(self) -> Checkpoint | None:
        """None when there is none that can be believed."""
        try:
            note = await self._means.blobs.get(CHECKPOINT)
            return notes.open_checkpoint(note, self._name, self._means.key)
        except Missing:
            return None
        except Damaged as damage:
            self._findings.note("heads", 1, f"the checkpoint: {damage}")
            return None

    async def _size(self, checkpoint: Checkpoint | None) -> int:
        """How many events were witnessed; without a checkpoint the rows in Postgres tell."""
        size = checkpoint.size if checkpoint else 0
        at = await self._rows_at(size)
        if at is None and size:
            self._findings.note("postgres", 1, "the witness's rows are gone")
        if at and at.ledger != self._head.ledger:
            self._findings.note("postgres", 1, f"the rows are of ledger {at.ledger}")
        if checkpoint is None and at and at.sequence:
            if not self._findings.has("heads"):
                self._findings.note("heads", 1, "the checkpoint is gone")
            return at.sequence
        if checkpoint is None and [key async for key in self._means.blobs.keys("witness/")]:
            self._findings.note("heads", 1, "the checkpoint is gone")
        return size

    async def _rows_at(self, size: int) -> rows.Position | None:
        """The checkpoint is written a moment before the rows: they are waited for."""
        for _ in range(CATCH_UP_TRIES):
            async with self._means.database.acquire() as db:
                at = await rows.position(db)
            if at is None or at.sequence >= size:
                break
            await asyncio.sleep(CATCH_UP_SECONDS)
        return at

    async def _heads(self, first: int, last: int) -> dict[int, bytes]:
        """The roots that the heads kept in Postgres signed, by size."""
        if self._findings.has("postgres") and not await self._has_rows():
            return {}
        async with self._means.database.acquire() as db:
            kept = await rows.heads(db, first, last)
        found = {}
        for size, note in kept:
            try:
                checkpoint = notes.open_checkpoint(note, self._name, self._means.key)
            except Damaged as damage:
                self._findings.note("heads", size, f"the head of size {size}: {damage}")
                continue
            if checkpoint.size == size:
                found[size] = checkpoint.root
            else:
                self._findings.note("heads", size, f"the head of size {size} says another size")
        return found

    async def _has_rows(self) -> bool:
        async with self._means.database.acquire() as db:
            return await rows.position(db) is not None

    # Places

    def _places(self, size: int) -> list[Place]:
        tiles = Tiles(self._means.blobs, size)
        archive = Archive(self._means.blobs, self._head.ledger, self._means.key, size)
        return [
            Place("stream", lambda index: self._stream(index, size)),
            Place("postgres", lambda index: self._rows(index, size)),
            Place("tiles", lambda index: self._tiles(index, tiles, tiles.hashes)),
            Place("tiles", lambda index: self._tiles(index, tiles, _leaves(tiles))),
            Place("archive", self._archive(archive)),
        ]
