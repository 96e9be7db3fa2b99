"""The Merkle log as C2SP's tiles (c2sp.org/tlog-tiles): written as it grows, read for proofs.

An entry is the 32-byte SHA-256 of an event's payload; entry n (from 0) belongs to sequence n + 1.
`tile/entries/<N>` holds 256 entries, each after its length as two bytes; `tile/0/<N>` their leaf
hashes; `tile/<L>/<N>` the heads of 256 full tiles of the level below. The last one at a level may
be partial: `tile/<L>/<N>.p/<W>` holds the first W, and stays until the full one is there.
"""

from collections.abc import Sequence
from hashlib import sha256
from struct import pack

from commands.ports import Blobs, Damaged, Missing
from domain.merkle import Edge, joined, leaf_hash, perfect_subtrees, root_of_hashes

WIDTH = 256
HEIGHT = 8
HASH_BYTES = 32
ENTRIES = "entries"
PREFIX = "witness/"
CHECKPOINT = f"{PREFIX}checkpoint"
LENGTH = pack(">H", HASH_BYTES)


def tile_key(level: int | str, index: int, width: int = WIDTH) -> str:
    return f"{PREFIX}tile/{level}/{numbered(index, width)}"


def numbered(index: int, width: int = WIDTH) -> str:
    """`x001/x234/067`, or `x001/x234/067.p/5` when only 5 wide."""
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return path if width == WIDTH else f"{path}.p/{width}"


def partials(key: str) -> str:
    """The prefix of all partial objects that the full one at `key` makes superfluous."""
    return f"{key}.p/"


def bundle(entries: Sequence[bytes]) -> bytes:
    return b"".join(LENGTH + entry for entry in entries)


def tile_root(hashes: Sequence[bytes]) -> bytes:
    return root_of_hashes(hashes)


class Log:
    """A growing log: all it needs of the past is the right edge of its tiles."""

    def __init__(
        self,
        size: int = 0,
        edge: Sequence[Sequence[bytes]] = (),
        entries: Sequence[bytes] = (),
    ) -> None:
        """`edge`: the partial tile of each level, from 0; `entries`: the partial bundle."""
        self.size = size
        self.entries = list(entries)
        self._edge = [list(tile) for tile in edge]

    def append(self, entry: bytes) -> dict[str, bytes]:
        """The full tiles and bundle that this entry completes, by key."""
        full = {}
        self.size += 1
        self.entries.append(entry)
        if len(self.entries) == WIDTH:
            full[tile_key(ENTRIES, self.size // WIDTH - 1)] = bundle(self.entries)
            self.entries = []
        head, level = leaf_hash(entry), 0
        while tile := self._grown(level, head):
            full[tile_key(level, (self.size >> HEIGHT * (level + 1)) - 1)] = b"".join(tile)
            head, level = tile_root(tile), level + 1
        return full

    def partial(self) -> dict[str, bytes]:
        """The tiles and the bundle at the right edge, by key."""
        found = {
            tile_key(level, self.size >> HEIGHT * (level + 1), len(tile)): b"".join(tile)
            for level, tile in enumerate(self._edge)
            if tile
        }
        if self.entries:
            key = tile_key(ENTRIES, self.size // WIDTH, len(self.entries))
            found[key] = bundle(self.entries)
        return found

    def root(self) -> bytes:
        return joined([peak for tile in reversed(self._edge) for peak in _peaks(tile)])

    def _grown(self, level: int, head: bytes) -> list[bytes]:
        """The tile that became full, else nothing."""
        if level == len(self._edge):
            self._edge.append([])
        self._edge[level].append(head)
        if len(self._edge[level]) < WIDTH:
            return []
        full, self._edge[level] = self._edge[level], []
        return full


class Tiles:
    """The tiles of a log of `size` entries, as they lie on the object store.

    Nothing here is trusted: compare with a signed checkpoint. Raises Missing, and Damaged for an
    object that is too short.
    """

    def __init__(self, blobs: Blobs, size: int) -> None:
        self._blobs = blobs
        self.size = size

    def width(self, level: int, index: int) -> int:
        return min(WIDTH, (self.size >> HEIGHT * level) - WIDTH * index)

    def count(self, level: int) -> int:
        """How many tiles the level has, a partial one included."""
        return -(-(self.size >> HEIGHT * level) // WIDTH)

    async def hashes(self, level: int, index: int) -> list[bytes]:
        width = self.width(level, index)
        return _split(await self._object(level, index, width, HASH_BYTES), HASH_BYTES, width)

    async def entries(self, index: int) -> list[bytes]:
        step = len(LENGTH) + HASH_BYTES
        width = self.width(0, index)
        parts = _split(await self._object(ENTRIES, index, width, step), step, width)
        if any(part[: len(LENGTH)] != LENGTH for part in parts):
            raise Damaged(f"entry bundle {index}: an entry is not {HASH_BYTES} bytes long")
        return [part[len(LENGTH) :] for part in parts]

    async def log(self) -> Log:
        """The log, to go on with it."""
        edge: list[list[bytes]] = []
        level = 0
        while self.size >> HEIGHT * level:
            index, partial = divmod(self.size >> HEIGHT * level, WIDTH)
            edge.append(await self.hashes(level, index) if partial else [])
            level += 1
        index, partial = divmod(self.size, WIDTH)
        return Log(self.size, edge, await self.entries(index) if partial else ())

    async def head(self, first: int, last: int) -> bytes:
        """The Merkle tree head over a range of entries whose subtrees are aligned, as in proofs."""
        return joined([await self._subtree(*each) for each in perfect_subtrees(first, last)])

    async def _subtree(self, height: int, index: int) -> bytes:
        level, rest = divmod(height, HEIGHT)
        tile, place = divmod(index << rest, WIDTH)
        return tile_root((await self.hashes(level, tile))[place : place + (1 << rest)])

    async def _object(self, level: int | str, index: int, width: int, step: int) -> bytes:
        """Where the log has grown since, the full object may have replaced the partial one."""
        try:
            return await self._blobs.get(tile_key(level, index, width))
        except Missing:
            if width == WIDTH:
                raise
            return (await self._blobs.get(tile_key(level, index)))[: width * step]


def _peaks(hashes: Sequence[bytes]) -> list[bytes]:
    edge = Edge()
    for each in hashes:
        edge.append(each)
    return edge.peaks()


def _split(data: bytes, step: int, count: int) -> list[bytes]:
    if len(data) != step * count:
        raise Damaged(f"an object of {len(data)} bytes should have {step * count}")
    return [data[at : at + step] for at in range(0, len(data), step)]


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()
