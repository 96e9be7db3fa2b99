"""`ictus audit verify`: reads everything in every place it is kept, and says where it differs.

The places are read side by side, 256 events at a time, and each is hashed into a tree of its own.
A place is whole when its trees have the signed heads; one that is not is compared with one that is,
which tells the first bad sequence.
"""

import asyncio
from collections.abc import Sequence
from itertools import combinations
from uuid import UUID

from msgspec import Struct

from commands.ports import Blobs, Damaged, Database, Head, Missing
from domain.merkle import Edge
from workers.witness import notes, rows
from workers.witness.notes import Checkpoint, PublicKey, log_name
from workers.witness.places import (
    ABSENT,
    Block,
    InArchive,
    InPostgres,
    InStream,
    InTiles,
    Read,
    SignedHead,
    Where,
    blocks,
)
from workers.witness.rows import Position
from workers.witness.stream import Stream
from workers.witness.tiles import CHECKPOINT, PREFIX

Signed = dict[int, set[bytes]]
"""Roots that the witness signed, by size: one each, unless its key was misused."""

ROWS_TRIES, ROWS_SECONDS = 20, 0.25


class Means(Struct, frozen=True):
    """What an audit reads; it writes nothing."""

    stream: Stream
    blobs: Blobs
    database: Database
    key: PublicKey


class Finding(Struct, frozen=True):
    """What is not as it was witnessed, in this place, from `sequence` on."""

    where: Where
    sequence: int
    what: str


class Report(Struct, frozen=True):
    """Events 1 to `witnessed` were compared in every place; those after it, up to `head`, are in
    the stream only. `findings` tells the first bad sequence of each place that is not whole."""

    whole: bool
    ledger: UUID
    origin: str
    key: str
    witnessed: int
    root: str
    head: int
    unwitnessed: int
    findings: tuple[Finding, ...]


class Findings:
    """The first of each place, noted in any order."""

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
    """A place as it is read: the tree over its events, and the first thing wrong with them."""

    def __init__(self, where: Where, read: Read) -> None:
        self.where, self.read = where, read
        self.edge = Edge()
        self.absent = 0
        self.refuted = 0
        """The first size at which its tree has another head than the signed one; 0 if none."""

    def take(self, block: Block, hashes: list[bytes], signed: Signed) -> None:
        for sequence, each in enumerate(hashes, block.first):
            self.edge.append(each)
            if each == ABSENT and not self.absent:
                self.absent = sequence
            if sequence in signed and not self.refuted and signed[sequence] != {self.edge.root()}:
                self.refuted = sequence


class Comparison:
    """The places side by side, and for each two of them where they first differ."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._differ: dict[frozenset[Place], int] = {}

    def take(self, block: Block, read: list[list[bytes]], signed: Signed) -> None:
        for place, hashes in zip(self._places, read, strict=True):
            place.take(block, hashes, signed)
        for (one, ours), (other, theirs) in combinations(zip(self._places, read, strict=True), 2):
            pair = frozenset((one, other))
            if ours != theirs and pair not in self._differ:
                same = [a == b for a, b in zip(ours, theirs, strict=True)]
                self._differ[pair] = block.first + same.index(False)

    def judge(self, findings: Findings) -> None:
        right = self._right()
        if right.refuted:
            findings.note("heads", right.refuted, "no place has the head that was signed here")
        for place in self._places:
            if sequence := self._differ.get(frozenset((right, place))):
                missing = sequence == place.absent
                what = "missing" if missing else "not what was witnessed"
                findings.note(place.where, sequence, what)

    def _right(self) -> Place:
        """The one that the signed heads do not refute; without them, the one most agree with."""

        def doubts(place: Place) -> tuple[bool, int]:
            return bool(place.refuted), sum(place in pair for pair in self._differ)

        return min(self._places, key=doubts)


async def verify(means: Means) -> Report:
    """Compares everything. Raises Unavailable when a place cannot be asked."""
    ledger = (await means.stream.head()).ledger
    return await Audit(means, log_name(ledger)).run()


async def gone(means: Means) -> Report | None:
    """The report on a server without a ledger: None where nothing was ever witnessed either."""
    async with means.database.acquire() as db:
        at = await rows.position(db)
    if at is None:
        return None
    return Report(
        whole=False,
        ledger=at.ledger,
        origin="",
        key=notes.verifier_key(log_name(at.ledger), means.key.public),
        witnessed=at.sequence,
        root="",
        head=0,
        unwitnessed=0,
        findings=(Finding("stream", 1, "there is no ledger on this NATS server any more"),),
    )


class Audit:
    """One reading of everything."""

    def __init__(self, means: Means, name: str) -> None:
        self._means, self._name = means, name
        self._findings = Findings()
        self._checkpoint: Checkpoint | None = None

    async def run(self) -> Report:
        size = await self._size()
        # Asked last: what was witnessed must be there, and what came since is the tail.
        head = await self._means.stream.head()
        await self._compare(size, head)
        found = self._findings.found()
        return Report(
            whole=not found,
            ledger=head.ledger,
            origin=head.origin,
            key=notes.verifier_key(self._name, self._means.key.public),
            witnessed=size,
            root=self._checkpoint.root.hex() if self._checkpoint else "",
            head=head.sequence,
            unwitnessed=max(0, head.sequence - size),
            findings=found,
        )

    async def _compare(self, size: int, head: Head) -> None:
        means, note = self._means, self._findings.note
        in_archive = InArchive(means.blobs, head.ledger, means.key, size, note)
        in_tiles = InTiles(means.blobs, size, note)
        in_postgres = InPostgres(means.database, await self._position())
        in_stream = InStream(means.stream, head, note)
        readers = (
            Place("archive", in_archive.read),
            Place("tiles", in_tiles.entries),
            Place("tiles", in_tiles.leaves),
            Place("postgres", in_postgres.read),
            Place("stream", in_stream.read),
        )
        comparison = Comparison(readers)
        for block in blocks(size):
            read = [await place.read(block) for place in readers]
            heads = [*in_archive.heads, *self._opened(await in_postgres.heads(block))]
            comparison.take(block, read, _by_size([*heads, *self._last_head(block, size)]))
        comparison.judge(self._findings)
        if not self._findings.has("tiles"):
            await in_tiles.check_upper()
        await in_stream.check_tail(size)

    # How much was witnessed

    async def _size(self) -> int:
        """By the checkpoint; where that cannot be believed, by the rows in Postgres."""
        at = await self._position()
        self._checkpoint = await self._read_checkpoint()
        size = self._checkpoint.size if self._checkpoint else 0
        await self._rows_caught_up(size)
        if at is None or at.sequence <= size:
            return size
        if self._checkpoint:
            what = f"the checkpoint is of {size} events, and the rows go up to {at.sequence}"
            self._findings.note("heads", size + 1, what)
        return at.sequence

    async def _read_checkpoint(self) -> Checkpoint | None:
        """None when there is none to believe, which is noted unless nothing was witnessed yet."""
        try:
            note = await self._means.blobs.get(CHECKPOINT)
            return notes.open_checkpoint(note, self._name, self._means.key)
        except Missing:
            if await self._position() or [key async for key in self._means.blobs.keys(PREFIX)]:
                self._findings.note("heads", 1, "the checkpoint is missing")
        except Damaged as damage:
            self._findings.note("heads", 1, f"the checkpoint: {damage}")
        return None

    async def _rows_caught_up(self, size: int) -> None:
        """The rows are written a moment after the checkpoint that is on the object store."""
        for _ in range(ROWS_TRIES):
            at = await self._position()
            if at is None or at.sequence >= size:
                return
            await asyncio.sleep(ROWS_SECONDS)

    async def _position(self) -> Position | None:
        async with self._means.database.acquire() as db:
            return await rows.position(db)

    # Heads

    def _opened(self, kept: list[tuple[int, bytes]]) -> list[SignedHead]:
        """The heads in Postgres that were signed by the witness; others are noted."""
        found = []
        for size, note in kept:
            try:
                checkpoint = notes.open_checkpoint(note, self._name, self._means.key)
                found.append((checkpoint.size, checkpoint.root))
            except Damaged as damage:
                self._findings.note("heads", size, f"the head of {size} events: {damage}")
        return found

    def _last_head(self, block: Block, size: int) -> list[SignedHead]:
        last = self._checkpoint
        return [(size, last.root)] if last and last.size == size == block.last else []


def _by_size(heads: list[SignedHead]) -> Signed:
    found: Signed = {}
    for size, root in heads:
        found.setdefault(size, set()).add(root)
    return found
