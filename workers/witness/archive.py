"""The archive: the stream's messages in segments of 256, each with a signed manifest, chained.

`archive/<N>` holds sequences 256 N + 1 to 256 (N + 1), compressed with zlib; inside, each message
is a line of JSON `{"sequence", "subject", "id", "bytes"}`, its payload and a newline. The last
segment may be partial, `archive/<N>.p/<W>`, and is written anew at each checkpoint until it is full.
`<segment>.manifest` is a signed note: a line that names the archive, and a line of JSON.
"""

import zlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Blobs, Damaged, Missing
from domain.events import NO_HASH
from domain.merkle import Edge, leaf_hash
from workers.witness import notes
from workers.witness.notes import Checkpoint, PublicKey, SigningKey
from workers.witness.stream import Stored
from workers.witness.tiles import CHECKPOINT, PREFIX, WIDTH, digest, numbered

SEGMENT_BYTES_MAX = 128 * 1024 * 1024


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """`sha256` is of the segment as it lies there, `root` the log's head at `last`, both in hex;
    `previous` is the SHA-256 of the manifest before (the whole note), 64 zeros for the first."""

    first: int
    last: int
    sha256: str
    root: str
    ledger: UUID
    origin: str
    previous: str


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """What stands before each payload."""

    sequence: int
    subject: str
    id: str
    bytes: int


def segment_key(index: int, width: int = WIDTH) -> str:
    return f"{PREFIX}archive/{numbered(index, width)}"


def manifest_key(index: int, width: int = WIDTH) -> str:
    return f"{segment_key(index, width)}.manifest"


def pack(messages: Sequence[Stored]) -> bytes:
    return zlib.compress(
        b"".join(
            msgspec.json.encode(Line(each.sequence, each.subject, each.id, len(each.payload)))
            + b"\n"
            + each.payload
            + b"\n"
            for each in messages
        )
    )


def unpack(segment: bytes) -> list[Stored]:
    """Raises Damaged for what `pack` did not make."""
    try:
        inflater = zlib.decompressobj()
        data = inflater.decompress(segment, SEGMENT_BYTES_MAX)
        if not inflater.eof or inflater.unused_data:
            raise Damaged("a segment of the archive is not whole, or too large")
        return _messages(data)
    except (zlib.error, ValueError) as error:
        raise Damaged(f"a segment of the archive cannot be read: {error}") from None


def sign_manifest(manifest: Manifest, key: SigningKey) -> bytes:
    name = notes.log_name(manifest.ledger)
    text = f"{name}/archive\n{msgspec.json.encode(manifest).decode()}\n"
    return notes.sign(text, name, key)


def open_manifest(note: bytes, ledger: UUID, key: PublicKey) -> Manifest:
    """Raises Damaged unless it is a manifest of this ledger's archive, signed by its key."""
    name = notes.log_name(ledger)
    text = notes.open_note(note, name, key)
    try:
        heading, line = text.removesuffix("\n").split("\n")
        manifest = msgspec.json.decode(line, type=Manifest)
    except (ValueError, msgspec.ValidationError):
        raise Damaged("the signed text is not a manifest") from None
    if heading != f"{name}/archive" or manifest.ledger != ledger:
        raise Damaged(f"the manifest belongs to another archive than {name}")
    return manifest


class Segment(NamedTuple):
    """A segment that is what its manifest says; `hash` is the SHA-256 of the manifest's note."""

    manifest: Manifest
    hash: str
    messages: list[Stored]


class Archive:
    """The archive of the first `size` events of a ledger, read and checked."""

    def __init__(self, blobs: Blobs, ledger: UUID, key: PublicKey, size: int) -> None:
        self._blobs, self._ledger, self._key = blobs, ledger, key
        self.size = size

    def count(self) -> int:
        return -(-self.size // WIDTH)

    async def read(self) -> AsyncIterator[Stored]:
        """All messages from sequence 1 to `size`. Raises Missing, and Damaged where a segment, a
        manifest, the chain of manifests or the log's head is not as it was signed; what was
        yielded before is right."""
        previous, edge = NO_HASH, Edge()
        for index in range(self.count()):
            segment = await self.segment(index)
            check_chain(segment, previous)
            for message in segment.messages:
                edge.append(leaf_hash(message.hash))
            if segment.manifest.last <= self.size and segment.manifest.root != edge.root().hex():
                raise Damaged(f"archive segment {index} does not hold what the log's head signs")
            for message in segment.messages:
                yield message
            previous = segment.hash

    async def segment(self, index: int) -> Segment:
        """Number `index`, with its messages up to `size`. Raises Missing, Damaged.

        Where the log has grown since, the full one may have replaced the partial one.
        """
        width = min(WIDTH, self.size - index * WIDTH)
        try:
            return await self._segment(index, width)
        except Missing:
            if width == WIDTH:
                raise
        full = await self._segment(index, WIDTH)
        return full._replace(messages=full.messages[:width])

    async def _segment(self, index: int, width: int) -> Segment:
        first = index * WIDTH + 1
        note = await self._blobs.get(manifest_key(index, width))
        manifest = open_manifest(note, self._ledger, self._key)
        if (manifest.first, manifest.last) != (first, first + width - 1):
            raise Damaged(f"archive manifest {index} is of {manifest.first} to {manifest.last}")
        data = await self._blobs.get(segment_key(index, width))
        if digest(data) != manifest.sha256:
            raise Damaged(f"archive segment {index} is not the one its manifest names")
        messages = unpack(data)
        if [each.sequence for each in messages] != list(range(first, first + width)):
            raise Damaged(f"archive segment {index} does not hold the sequences it should")
        return Segment(manifest, digest(note), messages)


async def open_archive(blobs: Blobs, key: PublicKey) -> tuple[Archive, Checkpoint]:
    """The archive of whichever ledger the object store holds, as far as the last checkpoint goes.

    Needs no ledger: it is where a restore begins. Raises Missing without a checkpoint, Damaged.
    """
    note = await blobs.get(CHECKPOINT)
    name = note.partition(b"\n")[0].decode(errors="replace")
    checkpoint = notes.open_checkpoint(note, name, key)
    return Archive(blobs, notes.ledger_of(name), key, checkpoint.size), checkpoint


def check_chain(segment: Segment, previous: str) -> None:
    """Raises Damaged unless its manifest names `previous` as the one before it."""
    if segment.manifest.previous != previous:
        raise Damaged(
            f"the archive manifest from sequence {segment.manifest.first} on does not follow the"
            " one before it"
        )


def _messages(data: bytes) -> list[Stored]:
    found, at = [], 0
    while at < len(data):
        end = data.index(b"\n", at)
        line = msgspec.json.decode(data[at:end], type=Line)
        at = end + 1 + line.bytes
        if data[at : at + 1] != b"\n":
            raise ValueError("a payload is not as long as its line says")
        found.append(Stored(line.sequence, line.subject, line.id, data[end + 1 : at]))
        at += 1
    return found
