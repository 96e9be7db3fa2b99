"""Some cases of a dataset, whole ones, folded from their events into leaves of its tree."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import case as cases, merkle
from domain.case import Erased
from domain.events import tag_of
from projections.drafts import CHANGING, EMPTY, Changing, Draft, drafted, member_of, row_of
from projections.groups import Group, Member, alone
from projections.rows import encode
from projections.spec import Spec

Stored = tuple[int, bytes]
"""An event as the ledger holds it: its sequence and its payload."""

WANTED = frozenset(f"ictus.{tag_of(type_)}" for type_ in (*CHANGING, Erased))


class Address(Struct, frozen=True, gc=False):
    """As much of an envelope as tells whether and where an event is wanted."""

    type: str
    subject: str


class Told(Struct, frozen=True, gc=False):
    """As much of a wanted event's envelope as a row depends on."""

    id: str
    subject: str
    data: Changing | Erased


class Leaf(NamedTuple):
    """A row's place in the tree; `row` is None once its case was erased."""

    case: str
    hash: bytes
    row: bytes | None


class Shard:
    """Folds events up to the sequence `until`; of what comes later it keeps only who was erased.
    Only the order within a case matters. Drafts lie packed, by case id: a fifth of the memory."""

    def __init__(self, until: int) -> None:
        self.until = until
        self.packed: dict[str, bytes] = {}
        self.erased: set[str] = set()

    def take(self, events: Iterable[Stored]) -> None:
        """Wanted events only. Raises msgspec.ValidationError for others."""
        for sequence, payload in events:
            told = _told.decode(payload)
            case = told.subject.removeprefix(PREFIX)
            if sequence <= self.until:
                draft = drafted(self.draft(case), told.data, (sequence, told.id))
                self.packed[case] = _packer.encode(draft)
            elif isinstance(told.data, Erased):
                self.erased.add(case)

    def copy(self, until: int) -> "Shard":
        """As it stands, where `until` was reached: drafts are never changed, only replaced."""
        copy = Shard(until)
        copy.packed, copy.erased = dict(self.packed), set(self.erased)
        return copy

    def draft(self, case: str) -> Draft:
        packed = self.packed.get(case)
        return _unpacker.decode(packed) if packed else EMPTY

    def members(self) -> list[Member]:
        made = (member_of(UUID(case), self.draft(case)) for case in self.packed)
        return [member for member in made if member]

    def leaves(self, groups: Mapping[UUID, Group], spec: Spec) -> Iterator[Leaf]:
        """Of the rows that the spec wants, sorted by case. `groups` tells of cases not alone."""
        for case in sorted(self.packed):
            draft = self.draft(case)
            member = member_of(UUID(case), draft)
            if member is None:
                continue
            group = groups.get(member.case) or alone(member, spec)
            row = row_of(member.case, draft, group, spec.profile)
            if row and spec.wants(row):
                encoded = encode(row)
                kept = None if case in self.erased else encoded
                yield Leaf(case, merkle.leaf_hash(encoded), kept)


def address_of(payload: bytes) -> Address:
    return _address.decode(payload)


PREFIX = f"{cases.NAME}/"
_address = msgspec.json.Decoder(Address)
_told = msgspec.json.Decoder(Told)
_packer = msgspec.msgpack.Encoder()
_unpacker = msgspec.msgpack.Decoder(Draft)
