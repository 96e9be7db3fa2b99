"""Datasets: a pure fold of the ledger into one row per case, the same on every machine.

A dataset is a function of (ledger, `as_of`, spec) and the erasures so far: no clock, no database, no
order but the ledger's within a case. Its identity is the Merkle root over its canonical rows.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from commands.ports import Damaged, Ledger
from domain import case as cases, merkle
from domain.errors import Refused
from domain.events import NO_HASH, Recorded
from projections.drafts import EMPTY, Draft, drafted, member_of, row_of
from projections.feed import closing
from projections.groups import Group, Member, groups
from projections.rows import PROJECTOR_VERSION, Row, Tombstone, decode, encode
from projections.spec import Spec


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


class Leaf(NamedTuple):
    """A row's place in the tree; `row` is None once its case was erased."""

    case: str
    hash: bytes
    row: bytes | None


async def build(ledger: Ledger, spec: Spec, as_of: int | None = None) -> Dataset:
    """The dataset as it was known at the event `as_of`, by default the last one.

    Raises Refused when the ledger ends before `as_of`, Damaged when an event is missing, Unavailable.
    """
    head = await ledger.head()
    until = head.sequence if as_of is None else as_of
    if until > head.sequence:
        raise Refused(f"The ledger ends at event {head.sequence}: there is no event {until} yet.")
    shard, at, head_sha256 = Shard(until), 0, NO_HASH
    async with closing(ledger.read()) as events:
        async for recorded in events:
            at = recorded.sequence
            if at == until:
                head_sha256 = recorded.hash
            shard.see(recorded)
    if at < head.sequence:
        raise Damaged(f"the ledger ends at event {at}, and it said event {head.sequence}")
    leaves = shard.leaves(groups(shard.members(), spec), spec)
    return dataset_of(leaves, spec, until, head_sha256, head.ledger)


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


class Shard:
    """Folds the events of some cases, whole ones, up to the sequence `until`; of what comes later it
    keeps only who was erased. Only the order within a case matters."""

    def __init__(self, until: int) -> None:
        self._until = until
        self.drafts: dict[UUID, Draft] = {}
        self.erased: set[UUID] = set()

    def see(self, recorded: Recorded) -> None:
        if recorded.aggregate != cases.NAME:
            return
        case = recorded.aggregate_id
        if recorded.sequence <= self._until:
            self.drafts[case] = drafted(self.drafts.get(case, EMPTY), recorded)
        elif isinstance(recorded.event, cases.Erased):
            self.erased.add(case)

    def members(self) -> list[Member]:
        made = (member_of(case, draft) for case, draft in self.drafts.items())
        return [member for member in made if member]

    def leaves(self, groups: Mapping[UUID, Group], spec: Spec) -> list[Leaf]:
        """Of the rows that the spec wants, sorted by case; `groups` are those of all cases."""
        rows = (
            row_of(case, draft, groups[case])
            for case, draft in self.drafts.items()
            if case in groups
        )
        made = (self._leaf(row) for row in rows if row and spec.wants(row))
        return sorted(made, key=lambda leaf: leaf.case)

    def _leaf(self, row: Row) -> Leaf:
        encoded = encode(row)
        hash_ = merkle.leaf_hash(encoded)
        return Leaf(row.case, hash_, None if UUID(row.case) in self.erased else encoded)
