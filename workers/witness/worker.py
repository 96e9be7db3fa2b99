"""The role `witness`: follows the ledger, signs what it saw, and keeps a second copy of it.

At most every `EVENTS_MAX` events or `PAUSE_SECONDS` it writes, in this order: tiles and archive,
the checkpoint that names them, and the rows in Postgres with their position. All but the checkpoint
are a pure function of the ledger, so whatever was broken off is simply written again.
"""

import asyncio
import logging
from itertools import count
from typing import NoReturn

from msgspec import Struct

from commands.ports import Blobs, Damaged, Database, Head, Missing, Unavailable
from domain.events import NO_HASH
from workers.witness import archive, notes, rows
from workers.witness.archive import Archive, Manifest
from workers.witness.notes import Checkpoint, SigningKey, log_name
from workers.witness.rows import Position
from workers.witness.stream import Stored, Stream
from workers.witness.tiles import CHECKPOINT, WIDTH, Log, Tiles, digest, partials

ROLE = "witness"
EVENTS_MAX = 1024
BYTES_MAX = 16 * 1024 * 1024
PAUSE_SECONDS = 2.0
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 5.0

logger = logging.getLogger(__name__)


class Means(Struct, frozen=True):
    """What a witness works with."""

    stream: Stream
    blobs: Blobs
    database: Database
    key: SigningKey


async def run(means: Means, pause_s: float = PAUSE_SECONDS) -> NoReturn:
    """Goes on for ever, through absences of the ledger, the objects and the database.

    Raises Damaged, and logs an alarm, when the ledger is not the one it witnessed.
    """
    retry_s = RETRY_SECONDS
    while True:
        try:
            witness = await recall(means)
            while True:
                more = await witness.advance()
                retry_s = RETRY_SECONDS
                await asyncio.sleep(0 if more else pause_s)
        except Unavailable as away:
            logger.warning("the witness tries again in %.1f s: %s", retry_s, away)
        except Damaged as damage:
            logger.critical("ALARM: %s", damage)
            raise
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, RETRY_SECONDS_MAX)


class Witness:
    """Where a witness stands: the log so far, and the messages of the archive's last segment."""

    def __init__(self, means: Means, head: Head, log: Log, last: bytes, previous: str) -> None:
        """`last` is the entry at the log's end, `previous` the last full segment's manifest."""
        self._means, self._head, self._log = means, head, log
        self._last, self._previous = last, previous
        self._segment: list[Stored] = []

    @property
    def size(self) -> int:
        return self._log.size

    async def resume(self) -> None:
        """Reads the events of the archive's partial segment again, and compares each with what was
        witnessed. Raises Damaged."""
        entries = self._log.entries
        first = self.size - len(entries) + 1
        numbers = count(first)
        async for message in self._means.stream.read(first, self.size):
            _check(message, next(numbers), entries[len(self._segment)])
            self._segment.append(message)
        if len(self._segment) < len(entries):
            raise Damaged(_lost(first + len(self._segment)))

    async def advance(self) -> bool:
        """Witnesses what is new, up to EVENTS_MAX; whether there may be more.

        Raises Damaged, Unavailable; then nothing more may be asked of this object.
        """
        fresh = await self._fresh()
        if not fresh:
            return False
        full, objects = self._append(fresh)
        positions = await self._means.stream.durables()
        at = Position(self._head.ledger, self.size - len(fresh))
        async with self._means.database.acquire() as db, db.transaction():
            await rows.enter(db, at)
            await _put_all(self._means.blobs, objects)
            note = self._checkpoint()
            await self._means.blobs.put(CHECKPOINT, note)
            await rows.add(db, at, [message.hash for message in fresh])
            await rows.keep_head(db, self.size, note)
            await rows.keep_durables(db, positions)
        for key in full:
            await _delete_all(self._means.blobs, partials(key))
        logger.info("witnessed %d events, up to sequence %d", len(fresh), self.size)
        return len(fresh) >= WIDTH

    async def _fresh(self) -> list[Stored]:
        """The next messages. The last one witnessed is read with them, each time, since a store
        that was rolled back may have grown over its place with other events."""
        head = await self._means.stream.head()
        _check_ledger(head, self._head, self.size)
        expected, fresh, bytes_ = max(1, self.size), list[Stored](), 0
        last = min(head.sequence, self.size + EVENTS_MAX)
        async for message in self._means.stream.read(expected, last):
            _check(message, expected, self._last if expected == self.size else None)
            expected += 1
            if message.sequence > self.size:
                fresh.append(message)
                bytes_ += len(message.payload)
            if bytes_ > BYTES_MAX:
                return fresh
        if expected != last + 1:
            raise Damaged(_lost(expected))
        return fresh

    def _append(self, fresh: list[Stored]) -> tuple[list[str], dict[str, bytes]]:
        """Which objects are full now, and all that are to be written, by key."""
        full: list[str] = []
        objects: dict[str, bytes] = {}
        for message in fresh:
            tiles = self._log.append(message.hash)
            self._segment.append(message)
            full += tiles
            objects |= tiles
            if len(self._segment) == WIDTH:
                full.append(archive.segment_key(self.size // WIDTH - 1))
                sealed = self._sealed()
                objects |= sealed
                self._previous = digest(sealed[archive.manifest_key(self.size // WIDTH - 1)])
                self._segment = []
        self._last = fresh[-1].hash
        partial = self._sealed() if self._segment else {}
        return full, objects | self._log.partial() | partial

    def _sealed(self) -> dict[str, bytes]:
        """The archive's segment that ends here, and its manifest, by key."""
        first, last = self._segment[0].sequence, self._segment[-1].sequence
        segment = archive.pack(self._segment)
        manifest = Manifest(
            first=first,
            last=last,
            sha256=digest(segment),
            root=self._log.root().hex(),
            ledger=self._head.ledger,
            origin=self._head.origin,
            previous=self._previous,
        )
        index, width = (first - 1) // WIDTH, last - first + 1
        return {
            archive.segment_key(index, width): segment,
            archive.manifest_key(index, width): archive.sign_manifest(manifest, self._means.key),
        }

    def _checkpoint(self) -> bytes:
        name = log_name(self._head.ledger)
        text = Checkpoint(name, self.size, self._log.root()).text()
        return notes.sign(text, name, self._means.key)


async def recall(means: Means) -> Witness:
    """The witness as it stood, brought back from its own records, which are checked on the way.

    Postgres, which only holds a copy, is filled up first. Raises Damaged when the records do not
    fit together or the ledger is not the one they tell of; Unavailable.
    """
    head = await means.stream.head()
    checkpoint = await last_checkpoint(means, head)
    _check_ledger(head, head, checkpoint.size)
    log, last, previous = await _recalled_log(means, head, checkpoint)
    await _fill_rows(means, head, checkpoint.size)
    witness = Witness(means, head, log, last, previous)
    await witness.resume()
    return witness


async def last_checkpoint(means: Means, head: Head) -> Checkpoint:
    """The empty one before the first. Raises Damaged when it is another log's or key's."""
    name = log_name(head.ledger)
    try:
        note = await means.blobs.get(CHECKPOINT)
    except Missing:
        return Checkpoint(name, 0, Log().root())
    if not note.startswith(name.encode() + b"\n"):
        signed = note.partition(b"\n")[0].decode(errors="replace")
        raise Damaged(f"the witness's checkpoint is of `{signed}`, and this ledger is `{name}`")
    return notes.open_checkpoint(note, name, means.key)


async def _recalled_log(means: Means, head: Head, checkpoint: Checkpoint) -> tuple[Log, bytes, str]:
    tiles = Tiles(means.blobs, checkpoint.size)
    full = checkpoint.size // WIDTH
    last, previous = b"", NO_HASH
    try:
        log = await tiles.log()
        if checkpoint.size:
            last = (await tiles.entries((checkpoint.size - 1) // WIDTH))[-1]
        if full:
            sealed = Archive(means.blobs, head.ledger, means.key, full * WIDTH)
            previous = (await sealed.segment(full - 1)).hash
    except Missing as gone:
        raise Damaged(f"the witness's object {gone} is gone") from None
    if log.root() != checkpoint.root:
        raise Damaged(
            f"the witness signed the head {checkpoint.root.hex()} at {checkpoint.size} events,"
            f" and its tiles have {log.root().hex()}"
        )
    return log, last, previous


async def _fill_rows(means: Means, head: Head, size: int) -> None:
    tiles = Tiles(means.blobs, size)
    async with means.database.acquire() as db, db.transaction():
        at = await rows.create(db, head.ledger)
    if at.ledger != head.ledger:
        raise Damaged(f"the witness's rows are of ledger {at.ledger}, and this is {head.ledger}")
    if at.sequence > size:
        raise Damaged(
            f"the witness's rows in Postgres go up to sequence {at.sequence}, and its checkpoint on"
            f" the object store to {size}: the object store was rolled back"
        )
    while at.sequence < size:
        index, place = divmod(at.sequence, WIDTH)
        async with means.database.acquire() as db, db.transaction():
            await rows.enter(db, at)
            at = await rows.add(db, at, (await tiles.entries(index))[place:])


def _check_ledger(head: Head, known: Head, size: int) -> None:
    if head.ledger != known.ledger:
        raise Damaged(f"the witness knows ledger {known.ledger}, and this is {head.ledger}")
    if head.sequence < size:
        raise Damaged(
            f"the ledger ends at sequence {head.sequence}, and the witness saw it up to {size}"
        )


def _check(message: Stored, sequence: int, witnessed: bytes | None) -> None:
    if message.sequence != sequence:
        raise Damaged(_lost(sequence))
    if witnessed is not None and witnessed != message.hash:
        raise Damaged(
            f"event {sequence} hashed to {witnessed.hex()} when the witness saw it, and in the"
            f" ledger it hashes to {message.hash.hex()}"
        )


def _lost(sequence: int) -> str:
    return f"the ledger has lost the event with sequence {sequence}"


async def _put_all(blobs: Blobs, objects: dict[str, bytes]) -> None:
    await asyncio.gather(*(blobs.put(key, data) for key, data in objects.items()))


async def _delete_all(blobs: Blobs, prefix: str) -> None:
    for key in [key async for key in blobs.keys(prefix)]:
        await blobs.delete(key)
