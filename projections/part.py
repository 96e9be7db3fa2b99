"""A part of a dataset that needs nothing of the other parts: whole cases, folded from one reading.

Whoever folds it reads the whole ledger, keeps its own cases, and of all others as much as tells who
is one patient. So parts can be folded anywhere, in any order, once or twice.
"""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from heapq import merge
from itertools import chain
from uuid import UUID

from msgspec import Struct

from commands.ports import Damaged, Head, Ledger
from domain.case import ImagesMoved, Linked, NearDuplicatesFound, Opened, ToldApart
from domain.errors import Refused
from domain.events import NO_HASH, tag_of
from projections.builder import Dataset, Progress, dataset_of, hash_in, read
from projections.groups import Member, not_alone
from projections.rows import PROJECTOR_VERSION
from projections.shard import WANTED, Leaf, Shard, Stored, address_of
from projections.shards import number
from projections.spec import Spec

TELLING_WHO = frozenset(
    f"ictus.{tag_of(type_)}"
    for type_ in (Opened, Linked, NearDuplicatesFound, ToldApart, ImagesMoved)
)


class Portion(Struct, frozen=True, kw_only=True):
    """Which part: the cases of shard `shard` (from 0) of `of`, as known at the event `until`, with the
    erasures up to the event `head`."""

    ledger: UUID
    head: int
    until: int
    shard: int
    of: int
    spec: Spec
    projector: str = PROJECTOR_VERSION


class Part(Struct, frozen=True):
    """`leaves` in the order of cases; `head_sha256` is the payload hash of the event `until`."""

    head_sha256: str
    leaves: list[Leaf]


async def fold(
    ledger: Ledger, portion: Portion, progress: Progress = lambda done, of: None
) -> Part:
    """Raises Damaged when the ledger is another or lacks an event, Refused where rows are made
    otherwise here, Unavailable."""
    await _check(ledger, portion)
    head_sha256, cases = NO_HASH, _Cases(portion)
    asked = Head(portion.ledger, "", portion.head)
    async with aclosing(read(ledger, asked)) as pieces:
        async for piece in pieces:
            head_sha256 = hash_in(piece, portion.until) or head_sha256
            some = piece[: portion.head - piece[0][0] + 1]
            await asyncio.to_thread(cases.take, some)
            progress(min(piece[-1][0], portion.head), portion.head)
            if piece[-1][0] >= portion.head:
                break
    return Part(head_sha256, await asyncio.to_thread(cases.leaves))


def whole(portion: Portion, parts: Iterable[Part]) -> Dataset:
    """The dataset of all parts, one of which is `portion`. Raises Damaged when they do not agree on
    what the ledger holds."""
    parts = list(parts)
    if len(hashes := {part.head_sha256 for part in parts}) != 1:
        raise Damaged(f"event {portion.until} was read in {len(hashes)} versions")
    leaves = merge(*(part.leaves for part in parts), key=lambda leaf: leaf.case)
    return dataset_of(leaves, portion.spec, portion.until, hashes.pop(), portion.ledger)


class _Cases:
    """The portion's own cases, and so much of the others."""

    def __init__(self, portion: Portion) -> None:
        self._portion = portion
        self._own, self._others = Shard(portion.until), Shard(portion.until)

    def take(self, events: Iterable[Stored]) -> None:
        for stored in events:
            address = address_of(stored[1])
            if address.type not in WANTED:
                continue
            if number(address.subject, self._portion.of) == self._portion.shard:
                self._own.take((stored,))
            elif address.type in TELLING_WHO:
                self._others.take((stored,))

    def _members(self) -> Iterable[Member]:
        return chain(self._own.members(), self._others.members())

    def leaves(self) -> list[Leaf]:
        spec = self._portion.spec
        return list(self._own.leaves(not_alone(self._members(), spec), spec))


async def _check(ledger: Ledger, portion: Portion) -> None:
    found = (await ledger.head()).ledger
    if found != portion.ledger:
        raise Damaged(f"a part of a dataset of ledger {portion.ledger} is asked of ledger {found}")
    if portion.projector != PROJECTOR_VERSION:
        raise Refused(
            f"rows are asked as {portion.projector}, and made as {PROJECTOR_VERSION} here:"
            " run one version of ictus on all machines"
        )
