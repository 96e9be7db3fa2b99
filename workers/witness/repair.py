"""What a ledger must hold again: all that was witnessed, and what is still legible behind it.

Reads the archive and whatever is left of the stream; writes nothing.
"""

from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import Struct

from commands.ports import Blobs, Damaged, Missing, Unavailable
from domain.merkle import Edge, leaf_hash
from workers.witness.archive import Archive, open_archive
from workers.witness.notes import Checkpoint, PublicKey, ledger_of
from workers.witness.places import Chains, Links, Where
from workers.witness.stream import Stored, Stream
from workers.witness.tiles import WIDTH


class Plan(Struct, frozen=True):
    """A ledger's messages: those of the archive, which are whole, and the `tail` after them.

    `forked` is the first sequence, 0 if none, at which the stream holds another event than the one
    that was witnessed: its store was rolled back and written to again. It has no tail then.
    """

    archive: Archive
    checkpoint: Checkpoint
    origin: str
    tail: tuple[Stored, ...] = ()
    forked: int = 0

    @property
    def head(self) -> int:
        return self.archive.size + len(self.tail)

    async def messages(self) -> AsyncIterator[Stored]:
        """In order, from sequence 1 to `head`. Raises Damaged, Missing."""
        async for message in self.archive.read():
            yield message
        for message in self.tail:
            yield message


async def plan(blobs: Blobs, key: PublicKey, stream: Stream | None) -> Plan:
    """Reads all of the archive, checked, and the stream if there is one of this ledger.

    Raises Damaged, which names it, when the archive is not whole: then nothing may be restored.
    """
    try:
        archive, checkpoint = await open_archive(blobs, key)
        if not archive.size:
            raise Damaged("the witness's archive is empty: there is nothing to restore from")
        origin = (await archive.segment(0)).manifest.origin
        chains = _Whole()
        found = _Remains(stream)
        await _must_be_of(stream, checkpoint)
        await _read_archive(archive, checkpoint, chains, found)
    except Missing as gone:
        raise Damaged(f"the witness's object {gone} is gone") from None
    tail = () if found.forked else await found.tail(archive.size, chains)
    return Plan(archive, checkpoint, origin, tail, found.forked)


async def _must_be_of(stream: Stream | None, checkpoint: Checkpoint) -> None:
    witnessed = ledger_of(checkpoint.origin)
    if stream and (found := (await stream.head()).ledger) != witnessed:
        raise Damaged(f"the archive is of ledger {witnessed}, and this is ledger {found}")


async def _read_archive(
    archive: Archive, checkpoint: Checkpoint, chains: "_Whole", remains: "_Remains"
) -> None:
    edge, block = Edge(), list[Stored]()
    async for message in archive.read():
        chains.must_fit("archive", message)
        edge.append(leaf_hash(message.hash))
        block.append(message)
        if len(block) == WIDTH:
            await remains.compare(block)
            block = []
    if block:
        await remains.compare(block)
    if edge.root() != checkpoint.root:
        raise Damaged("the archive does not hold what the witness's checkpoint signs")


class _Whole:
    """Whether each message is an event, stored as itself, that names the one before it."""

    def __init__(self) -> None:
        self._wrong = ""
        self._chains = Chains(self._note)

    def fits(self, where: Where, message: Stored) -> bool:
        self._chains.check(where, message)
        return not self._wrong

    def must_fit(self, where: Where, message: Stored) -> None:
        if not self.fits(where, message):
            raise Damaged(self._wrong)

    def _note(self, where: Where, sequence: int, what: str) -> None:
        self._wrong = self._wrong or f"{where}, sequence {sequence}: {what}"


class _Remains:
    """What a damaged stream still gives; `forked` as in Plan."""

    def __init__(self, stream: Stream | None) -> None:
        self._stream = stream
        self.forked = 0

    async def compare(self, witnessed: Sequence[Stored]) -> None:
        found = await self._legible(witnessed[0].sequence, witnessed[-1].sequence)
        right = {message.sequence: message for message in witnessed}
        for message in found:
            other = message.payload != right[message.sequence].payload
            if other and not self.forked and _is_event(message):
                self.forked = message.sequence

    async def tail(self, size: int, chains: _Whole) -> tuple[Stored, ...]:
        """The messages after `size`, as long as each follows the one before and fits its chain."""
        if self._stream is None:
            return ()
        taken: list[Stored] = []
        for message in await self._legible(size + 1, (await self._stream.head()).sequence):
            if message.sequence != size + 1 + len(taken) or not chains.fits("stream", message):
                break
            taken.append(message)
        return tuple(taken)

    async def _legible(self, first: int, last: int) -> list[Stored]:
        """Up to where it can be read; nothing more is asked of a stream that broke off."""
        found: list[Stored] = []
        if self._stream is None:
            return found
        try:
            last = min(last, (await self._stream.head()).sequence)
            async for message in self._stream.read(first, last):
                found.append(message)
        except Unavailable:
            self._stream = None
        return found


def _is_event(message: Stored) -> bool:
    try:
        return msgspec.json.decode(message.payload, type=Links).id == message.id
    except (ValueError, msgspec.ValidationError):
        return False
