"""Near duplicates: whether an image was here before, in this case or in another.

The answer for one image-ingested event depends on the ledger up to that event and on nothing else, so
any number of processes, started at any time, find the same. What was found is an event; a replay reads
that and compares nothing.
"""

from asyncio import Lock
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from commands import cases
from commands.ports import Ledger
from commands.transact import Books, because
from domain.case import Alike, ImageIngested, ImagesMoved, NearDuplicatesFound
from domain.events import CASE, Recorded
from workers.reactor import Done, Ignored, Outcome

ROLE = "duplicates"
SUBJECTS = ("ictus.ev.*.case.*.image-ingested",)

BITS, FINE_BITS = 64, 192
NEAR_BITS_MAX, NEAR_FINE_BITS_MAX = 6, 36
"""Of the two parts of a fingerprint. Drawn pictures of other heads are near by the first in one of ten
thousand pairs, and even then differ in 54 and more of the second; the same picture in other clothes
in 20 and fewer, photographed mostly in 32 and fewer."""

CASES_MAX = 64
"""Named by one event, the nearest; each of them names those that it is like."""


def bits_apart(one: int, other: int) -> int | None:
    """How many of the first bits of two fingerprints differ; None when they are not near."""
    differing = one ^ other
    coarse, fine = differing >> FINE_BITS, differing & (1 << FINE_BITS) - 1
    near = coarse.bit_count() <= NEAR_BITS_MAX and fine.bit_count() <= NEAR_FINE_BITS_MAX
    return coarse.bit_count() if near else None


class Duplicates:
    """The worker's means; the fingerprints of the whole ledger are in its memory."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._known = Fingerprints()
        self._reading = Lock()

    async def react(self, recorded: Recorded) -> Outcome:
        """Says what earlier images an ingested one is like, if any."""
        event = recorded.event
        if not isinstance(event, ImageIngested) or not event.fingerprints:
            return Ignored()
        await self._read(self._books.ledger)
        alike = self._known.like(recorded.aggregate_id, event, recorded.sequence)
        if not alike:
            return Ignored()
        found = NearDuplicatesFound(item=event.item, alike=alike)
        request = because(self._books, recorded, ROLE)
        done = await cases.record_near_duplicates(
            self._books, request, recorded.aggregate_id, found
        )
        return Done() if done else Ignored()

    async def _read(self, ledger: Ledger) -> None:
        async with self._reading:
            async for recorded in ledger.read(self._known.sequence, CASE.name):
                self._known.take(recorded)


class Image(NamedTuple):
    """One ingestion of an image and where its event stands."""

    case: UUID
    item: UUID
    sequence: int


class Fingerprints:
    """All fingerprints up to `sequence`. They lie by pieces: of two that differ in NEAR_BITS_MAX bits or
    fewer, one of so many pieces and one more is the same, so only those need to be compared."""

    def __init__(self) -> None:
        self.sequence = 0
        self._left: dict[tuple[UUID, UUID], int] = {}
        self._by_piece: defaultdict[tuple[int, int], list[tuple[int, Image]]] = defaultdict(list)

    def take(self, recorded: Recorded) -> None:
        self.sequence = recorded.sequence
        match recorded.event:
            case ImageIngested(item=item, fingerprints=fingerprints):
                image = Image(recorded.aggregate_id, item, recorded.sequence)
                for fingerprint in numbers(fingerprints):
                    for piece in pieces(fingerprint):
                        self._by_piece[piece].append((fingerprint, image))
            case ImagesMoved(direction="out", items=items):
                for item in items:
                    self._left[recorded.aggregate_id, item] = recorded.sequence

    def like(self, case: UUID, image: ImageIngested, sequence: int) -> tuple[Alike, ...]:
        """Of every case the image most like this one, of those that were there before the event
        `sequence`; the nearest first, then the oldest."""
        best: dict[UUID, tuple[int, Image]] = {}
        for bits, other in self._near(numbers(image.fingerprints)):
            is_itself = (other.case, other.item) == (case, image.item)
            if is_itself or not self._was_there(other, sequence):
                continue
            found = best.get(other.case)
            if found is None or (bits, other.sequence) < (found[0], found[1].sequence):
                best[other.case] = bits, other
        nearest = sorted(best.values(), key=lambda found: (found[0], found[1].sequence))
        return tuple(
            Alike(case=other.case, item=other.item, bits=bits)
            for bits, other in nearest[:CASES_MAX]
        )

    def _near(self, fingerprints: Iterable[int]) -> Iterator[tuple[int, Image]]:
        for fingerprint in fingerprints:
            for piece in pieces(fingerprint):
                for other, image in self._by_piece.get(piece, ()):
                    bits = bits_apart(fingerprint, other)
                    if bits is not None:
                        yield bits, image

    def _was_there(self, image: Image, sequence: int) -> bool:
        left = self._left.get((image.case, image.item), sequence)
        return image.sequence < sequence <= left


def numbers(fingerprints: Sequence[str]) -> list[int]:
    return [int(fingerprint, 16) for fingerprint in fingerprints]


def pieces(fingerprint: int) -> Iterator[tuple[int, int]]:
    """Its first bits in NEAR_BITS_MAX + 1 pieces, each with its number."""
    coarse = fingerprint >> FINE_BITS
    for number in range(NEAR_BITS_MAX + 1):
        low, high = (BITS * n // (NEAR_BITS_MAX + 1) for n in (number, number + 1))
        yield number, coarse >> low & (1 << high - low) - 1
