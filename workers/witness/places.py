"""Every place where events are kept, read the same way: a block of sequences, as leaf hashes."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Blobs, Damaged, Database, Head, Missing
from domain.events import NO_HASH, payload_hash
from domain.identity import subject
from domain.merkle import leaf_hash
from workers.witness import rows
from workers.witness.archive import Archive, check_chain
from workers.witness.notes import PublicKey
from workers.witness.rows import Position
from workers.witness.stream import Stored, Stream
from workers.witness.tiles import WIDTH, Tiles, tile_root

Where = Literal["stream", "postgres", "tiles", "archive", "heads"]
Note = Callable[[Where, int, str], None]
SignedHead = tuple[int, bytes]
"""A size, and the root that the witness signed for it."""

ABSENT = bytes(32)


class Block(Struct, frozen=True):
    """The sequences `first` to `last` of the archive's segment and the tile `index`."""

    index: int
    first: int
    last: int

    def hashes(self, found: Mapping[int, bytes]) -> list[bytes]:
        """Of every sequence of the block, ABSENT where none was found."""
        return [found.get(number, ABSENT) for number in range(self.first, self.last + 1)]


def blocks(size: int) -> list[Block]:
    return [
        Block(first // WIDTH, first + 1, min(first + WIDTH, size))
        for first in range(0, size, WIDTH)
    ]


Read = Callable[[Block], Awaitable[list[bytes]]]


class Links(Struct, frozen=True):
    """The part of an event that says what the message around it must be."""

    id: str
    type: str
    subject: str
    prevhash: str


class Chains:
    """Checks that each event names the one before it of its aggregate, and is stored as itself."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._last: dict[str, str] = {}

    def check(self, where: Where, message: Stored) -> None:
        try:
            links = msgspec.json.decode(message.payload, type=Links)
            belongs = _subject(links)
        except (ValueError, msgspec.ValidationError):
            self._note(where, message.sequence, "the message is not an event")
            return
        if (message.subject, message.id) != (belongs, links.id):
            self._note(where, message.sequence, "the subject or Msg-Id is not the event's own")
        if links.prevhash != self._last.get(links.subject, NO_HASH):
            self._note(where, message.sequence, f"the chain of {links.subject} breaks")
        self._last[links.subject] = payload_hash(message.payload)


class InStream:
    def __init__(self, stream: Stream, head: Head, note: Note) -> None:
        self._stream, self._head, self._note = stream, head, note
        self._chains = Chains(note)

    async def read(self, block: Block) -> list[bytes]:
        found = {}
        last = min(block.last, self._head.sequence)
        async for message in self._stream.read(block.first, last):
            self._chains.check("stream", message)
            found[message.sequence] = leaf_hash(message.hash)
        return block.hashes(found)

    async def check_tail(self, size: int) -> None:
        """What came after the `size` events that were witnessed has no gap and its chains hold."""
        expected = size + 1
        async for message in self._stream.read(expected, self._head.sequence):
            if message.sequence != expected:
                break
            self._chains.check("stream", message)
            expected += 1
        if expected <= self._head.sequence:
            self._note("stream", expected, "missing, and it was not witnessed yet")


class InPostgres:
    def __init__(self, database: Database, at: Position | None) -> None:
        """`at` is None where no witness wrote rows."""
        self._database, self._exists = database, at is not None

    async def read(self, block: Block) -> list[bytes]:
        if not self._exists:
            return block.hashes({})
        async with self._database.acquire() as db:
            found = await rows.hashes(db, block.first, block.last)
        return block.hashes({number: leaf_hash(each) for number, each in found.items()})

    async def heads(self, block: Block) -> list[tuple[int, bytes]]:
        if not self._exists:
            return []
        async with self._database.acquire() as db:
            return await rows.heads(db, block.first, block.last)


class InTiles:
    def __init__(self, blobs: Blobs, size: int, note: Note) -> None:
        self._tiles, self._note = Tiles(blobs, size), note

    async def leaves(self, block: Block) -> list[bytes]:
        return await self._noted(0, block.index) or block.hashes({})

    async def entries(self, block: Block) -> list[bytes]:
        try:
            return [leaf_hash(each) for each in await self._tiles.entries(block.index)]
        except (Missing, Damaged) as wrong:
            self._note("tiles", block.first, f"the entry bundle: {wrong}")
            return block.hashes({})

    async def check_upper(self) -> None:
        """Each hash above the leaves is the head of the tile below it."""
        level = 1
        while count := self._tiles.count(level):
            for index in range(count):
                await self._check_tile(level, index)
            level += 1

    async def _check_tile(self, level: int, index: int) -> None:
        for place, found in enumerate(await self._noted(level, index)):
            below = index * WIDTH + place
            if tile_root(await self._noted(level - 1, below)) != found:
                first = below * WIDTH**level + 1
                self._note("tiles", first, f"tile {level}/{index} is not over the tiles below it")
                return

    async def _noted(self, level: int, index: int) -> list[bytes]:
        """Nothing when the tile cannot be read, which is noted."""
        try:
            return await self._tiles.hashes(level, index)
        except (Missing, Damaged) as wrong:
            first = index * WIDTH ** (level + 1) + 1
            self._note("tiles", first, f"tile {level}/{index}: {wrong}")
            return []


class InArchive:
    """`heads` are those that the manifest of the block read last has signed."""

    def __init__(self, blobs: Blobs, ledger: UUID, key: PublicKey, size: int, note: Note) -> None:
        self._archive = Archive(blobs, ledger, key, size)
        self._chains = Chains(note)
        self._note = note
        self._previous: str | None = NO_HASH
        self.heads: list[SignedHead] = []

    async def read(self, block: Block) -> list[bytes]:
        self.heads = []
        try:
            segment = await self._archive.segment(block.index)
            if self._previous is not None:
                check_chain(segment, self._previous)
        except (Missing, Damaged) as wrong:
            self._previous = None
            self._note("archive", block.first, f"{wrong}")
            return block.hashes({})
        self._previous = segment.hash
        if segment.manifest.last == block.last:
            self.heads = [(block.last, bytes.fromhex(segment.manifest.root))]
        for message in segment.messages:
            self._chains.check("archive", message)
        return [leaf_hash(message.hash) for message in segment.messages]


def _subject(links: Links) -> str:
    """Raises ValueError for what is no event's type or subject."""
    aggregate, aggregate_id = links.subject.split("/")
    name = links.type.split(".")[-2:-1]
    return subject(aggregate, UUID(aggregate_id), *name)
