"""Datasets: a pure fold of the ledger into one row per case, the same on every machine.

A dataset is a function of (ledger, `as_of`, spec) and the erasures so far: no clock, no database, no
order but the ledger's within a case. Its identity is the Merkle root over its canonical rows.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from uuid import UUID

from msgspec import Struct

from commands.ports import Damaged, Head, Ledger
from domain import merkle
from domain.errors import Refused
from domain.events import NO_HASH, payload_hash
from projections.groups import not_alone
from projections.rows import PROJECTOR_VERSION, Row, Tombstone, decode
from projections.shard import Leaf, Stored
from projections.shards import dealt
from projections.spec import Spec

Progress = Callable[[int, int], None]
"""Called with the sequence reached and the last one."""


class Dataset(Struct, frozen=True, kw_only=True):
    """`encoded` are the canonical rows, sorted by case id; `erased` stand for those whose case was
    erased after `as_of`, the last sequence read. `head_sha256` is that event's payload hash. Hashes
    are hex."""

    root: str
    encoded: list[bytes]
    erased: tuple[Tombstone, ...]
    as_of: int
    head_sha256: str
    spec: Spec
    spec_sha256: str
    projector: str
    ledger: UUID

    @property
    def rows(self) -> list[Row]:
        """Decoded anew each time: rows are many and their bytes are kept already."""
        return [decode(line) for line in self.encoded]


async def build(
    ledger: Ledger,
    spec: Spec,
    as_of: int | None = None,
    *,
    shards: int = 1,
    progress: Progress = lambda done, of: None,
) -> Dataset:
    """The dataset as it was known at the event `as_of`, by default the last one.

    The ledger is read to its end, since a later erasure counts. `shards` processes fold the cases;
    one is this process. Raises Refused when the ledger ends before `as_of`, Damaged when an event is
    missing, Unavailable.
    """
    head = await ledger.head()
    until = head.sequence if as_of is None else as_of
    must_have(head, until)
    head_sha256 = NO_HASH
    async with dealt(shards, until) as fold, aclosing(read(ledger, head)) as pieces:
        async for piece in pieces:
            head_sha256 = hash_in(piece, until) or head_sha256
            await fold.take(piece)
            progress(piece[-1][0], head.sequence)
        groups = not_alone(await fold.members(), spec)
        leaves = fold.leaves(groups, spec)
        return await asyncio.to_thread(dataset_of, leaves, spec, until, head_sha256, head.ledger)


def hash_in(piece: Sequence[Stored], sequence: int) -> str | None:
    """The payload hash of that event, if it is in this piece of the ledger."""
    if piece[0][0] <= sequence <= piece[-1][0]:
        return payload_hash(piece[sequence - piece[0][0]][1])
    return None


def must_have(head: Head, sequence: int) -> None:
    """Raises Refused."""
    if sequence > head.sequence:
        raise Refused(
            f"The ledger ends at event {head.sequence}: there is no event {sequence} yet."
        )


async def read(ledger: Ledger, head: Head) -> AsyncGenerator[Sequence[Stored], None]:
    """All events from the first up to the head, none of them missing. Raises Damaged, Unavailable."""
    at, pieces = 0, ledger.stored()
    try:
        async for piece in pieces:
            for sequence, _ in piece:
                if sequence != at + 1:
                    raise Damaged(f"the ledger has no event {at + 1} before event {sequence}")
                at = sequence
            yield piece
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
    if at < head.sequence:
        raise Damaged(f"the ledger ends at event {at}, and it said event {head.sequence}")


def dataset_of(
    leaves: Iterable[Leaf], spec: Spec, as_of: int, head_sha256: str, ledger: UUID
) -> Dataset:
    """From leaves in the order of cases."""
    edge = merkle.Edge()
    encoded, erased = [], []
    for leaf in leaves:
        edge.append(leaf.hash)
        if leaf.row is None:
            erased.append(Tombstone(leaf.case, leaf.hash.hex()))
        else:
            encoded.append(leaf.row)
    return Dataset(
        root=edge.root().hex(),
        encoded=encoded,
        erased=tuple(erased),
        as_of=as_of,
        head_sha256=head_sha256,
        spec=spec,
        spec_sha256=spec.sha256,
        projector=PROJECTOR_VERSION,
        ledger=ledger,
    )
