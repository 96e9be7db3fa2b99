"""What changed between two datasets, and which events made it so.

Both are folded from the ledger in one reading, since a row that is gone cannot tell why. The causes
of a change are the events between the two that determine the later dataset's row, or that it has none.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Literal
from uuid import UUID

from msgspec import Struct

from commands.ports import Ledger
from domain import merkle
from projections.builder import Progress, must_have, read
from projections.drafts import Draft, causes, member_of, row_of
from projections.groups import Group, Mention, alone, not_alone
from projections.rows import Row, encode
from projections.shard import WANTED, Shard, Stored, address_of
from projections.spec import Spec

Kind = Literal["added", "removed", "changed"]


class Side(Struct, frozen=True):
    """A dataset by what it is a function of."""

    as_of: int
    spec: Spec = Spec()


class Cause(Struct, frozen=True):
    sequence: int
    id: str
    type: str


class Difference(Struct, frozen=True):
    """`fields` are those of the row that changed; `by_spec` says that the specs differ about it."""

    case: str
    kind: Kind
    fields: tuple[str, ...]
    causes: tuple[Cause, ...]
    by_spec: bool


class Differences(Struct, frozen=True):
    """From A to B, by case. Roots are hex; `unexplained` counts the rows that differ without cause."""

    a: Side
    b: Side
    root_a: str
    root_b: str
    added: int
    removed: int
    changed: int
    unchanged: int
    unexplained: int
    rows: tuple[Difference, ...]


async def differences(
    ledger: Ledger, a: Side, b: Side, progress: Progress = lambda done, of: None
) -> Differences:
    """Raises Refused when the ledger ends before one of them, Damaged, Unavailable."""
    head = await ledger.head()
    for side in (a, b):
        must_have(head, side.as_of)
    first, last = sorted((a.as_of, b.as_of))
    seen = Seen(first, last)
    async with aclosing(read(ledger, head)) as pieces:
        async for piece in pieces:
            seen.take(piece)
            progress(min(piece[-1][0], last), last)
            if piece[-1][0] >= last:
                break
    return await asyncio.to_thread(seen.compared, a, b)


class Seen:
    """Two moments of one reading, and the types of the events that rows depend on."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._at = {last: Shard(last)}
        self._at.setdefault(first, Shard(first))
        self._types = bytearray(last + 1)

    def take(self, piece: Sequence[Stored]) -> None:
        shard = self._at[self._last]
        for sequence, payload in piece:
            if sequence > self._last:
                return
            type_ = address_of(payload).type
            if type_ in WANTED:
                self._types[sequence] = TYPES.index(type_)
                shard.take([(sequence, payload)])
            if sequence == self._first < self._last:
                self._at[sequence] = shard.copy(sequence)

    def compared(self, a: Side, b: Side) -> Differences:
        old, new = View(self._at[a.as_of], a.spec), View(self._at[b.as_of], b.spec)
        respecified = old if a.spec == b.spec else View(self._at[a.as_of], b.spec)
        edge_a, edge_b, found, unchanged = merkle.Edge(), merkle.Edge(), [], 0
        for case in sorted(old.cases | new.cases):
            before, after = old.row(case), new.row(case)
            for edge, row in ((edge_a, before), (edge_b, after)):
                if row:
                    edge.append(merkle.leaf_hash(encode(row)))
            if before == after:
                unchanged += before is not None
                continue
            by_spec = respecified.row(case) != before
            found.append(self._difference(case, old, new, by_spec))
        return Differences(
            a=a,
            b=b,
            root_a=edge_a.root().hex(),
            root_b=edge_b.root().hex(),
            added=sum(each.kind == "added" for each in found),
            removed=sum(each.kind == "removed" for each in found),
            changed=sum(each.kind == "changed" for each in found),
            unchanged=unchanged,
            unexplained=sum(not (each.causes or each.by_spec) for each in found),
            rows=tuple(found),
        )

    def _difference(self, case: str, old: "View", new: "View", by_spec: bool) -> Difference:
        before, after = old.row(case), new.row(case)
        earlier, later = sorted((old, new), key=lambda view: view.as_of)
        mentions = later.why(case, earlier.as_of)
        return Difference(
            case=case,
            kind="changed" if before and after else "added" if after else "removed",
            fields=_changed(before, after) if before and after else (),
            causes=tuple(Cause(*mention, TYPES[self._types[mention[0]]]) for mention in mentions),
            by_spec=by_spec,
        )


class View:
    """The cases of one moment as a spec sees them."""

    def __init__(self, shard: Shard, spec: Spec) -> None:
        self.as_of, self._shard, self._spec = shard.until, shard, spec
        self._groups = not_alone(shard.members(), spec)

    @property
    def cases(self) -> set[str]:
        return set(self._shard.packed)

    def row(self, case: str) -> Row | None:
        draft, group = self._known(case)
        row = row_of(UUID(case), draft, group, self._spec.profile) if group else None
        return row if row and self._spec.wants(row) else None

    def why(self, case: str, since: int) -> tuple[Mention, ...]:
        """The events after `since` that determine the row, or that there is none."""
        draft, group = self._known(case)
        if group is None:
            return ()
        alone_does = draft.withdrawn if self.row(case) is None else None
        found = (alone_does,) if alone_does else causes(draft, group, self._spec.profile)
        return tuple(mention for mention in found if mention[0] > since)

    def _known(self, case: str) -> tuple[Draft, Group | None]:
        draft = self._shard.draft(case)
        member = member_of(UUID(case), draft)
        if member is None:
            return draft, None
        return draft, self._groups.get(member.case) or alone(member, self._spec)


def _changed(before: Row, after: Row) -> tuple[str, ...]:
    fields = (name for name in Row.__struct_fields__ if name != "events")
    found = tuple(name for name in fields if getattr(before, name) != getattr(after, name))
    return found or ("events",)


TYPES = ["", *sorted(WANTED)]
