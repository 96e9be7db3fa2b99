"""The first entries of the witness's log, such that anybody can see they are under its checkpoint.

A checkpoint is of the log as it grew; of what came behind the entries only the heads of perfect
subtrees are kept. Entries and heads together give the signed head, and any entry's inclusion proof.
"""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from msgspec import Struct

from commands.ports import Blobs, Damaged, Missing
from domain.merkle import Tree, leaf_hash, perfect_subtrees
from workers.witness import notes
from workers.witness.notes import Checkpoint, PublicKey, log_name, verifier_key
from workers.witness.tiles import CHECKPOINT, HASH_BYTES, WIDTH, Tiles

READING_MAX = 16
"""Tiles read at the same time."""


class Prefix(Struct, frozen=True):
    """`entries` are payload hashes, 32 bytes each; `checkpoint` is the signed note, `rest` the heads
    behind the entries, `key` the witness's verifier key."""

    entries: bytes
    rest: tuple[bytes, ...]
    checkpoint: bytes
    key: str


async def covering(blobs: Blobs, key: PublicKey, ledger: UUID) -> tuple[bytes, Checkpoint]:
    """The latest note and what it says. Raises Missing when nothing was witnessed, Damaged."""
    try:
        note = await blobs.get(CHECKPOINT)
    except Missing:
        raise Missing("nothing was witnessed yet: is the role `witness` running?") from None
    return note, notes.open_checkpoint(note, log_name(ledger), key)


async def take(blobs: Blobs, key: PublicKey, ledger: UUID, count: int) -> Prefix:
    """The first `count` entries. Raises Missing when the witness has not seen so many, Damaged when
    its tiles are not what its checkpoint signs."""
    note, checkpoint = await covering(blobs, key, ledger)
    if checkpoint.size < count:
        raise Missing(f"the witness has seen {checkpoint.size} events, not {count}")
    tiles = Tiles(blobs, checkpoint.size)
    entries = (await _entries(tiles, -(-count // WIDTH)))[: count * HASH_BYTES]
    behind = perfect_subtrees(count, checkpoint.size)
    rest = tuple([await tiles.head(at << height, (at + 1) << height) for height, at in behind])
    if tree_over(entries, rest, checkpoint.size).root() != checkpoint.root:
        raise Damaged("the witness's tiles do not have the head that it signed")
    return Prefix(entries, rest, note, verifier_key(log_name(ledger), key.public))


def tree_over(entries: bytes, rest: Sequence[bytes], size: int) -> Tree:
    """The log's tree, as far as these say it. Raises ValueError for too few or too many heads."""
    return Tree(b"".join(leaf_hash(each) for each in split(entries)), rest, size)


def split(entries: bytes) -> Iterator[bytes]:
    return (entries[at : at + HASH_BYTES] for at in range(0, len(entries), HASH_BYTES))


async def _entries(tiles: Tiles, bundles: int) -> bytes:
    found = bytearray()
    for first in range(0, bundles, READING_MAX):
        indices = range(first, min(first + READING_MAX, bundles))
        for bundle in await asyncio.gather(*(tiles.entries(index) for index in indices)):
            found += b"".join(bundle)
    return bytes(found)
