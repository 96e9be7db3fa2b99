"""What a read model is: a schema of tables and how a batch of events changes them."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from commands.ports import Db
from domain.events import Recorded

Apply = Callable[[Db, Sequence[Recorded]], Awaitable[None]]


class Projection(Struct, frozen=True):
    """`ddl` and `apply` name tables without a schema, since a new version is built beside the live
    one; queries read the live one as `name.table`. Raise `revision` when `ddl` or `apply` change:
    the runner then rebuilds. The order of events in and across batches is the ledger's.

    `indices` are what `apply` does without: a version that is built gets them when it holds nearly
    all, which is much faster. They are made anew after an interruption, so `IF NOT EXISTS`."""

    name: str
    revision: int
    ddl: str
    apply: Apply
    indices: str = ""


class Change(Struct, frozen=True):
    """One statement and its values."""

    statement: str
    values: tuple[Any, ...]


async def execute(
    db: Db, batch: Sequence[Recorded], changes: Callable[[Recorded], Iterable[Change]]
) -> None:
    """The changes of one aggregate in order; first all aggregates' first, then their second, and so
    on, so that equal statements go to the server together. Aggregates must not share rows."""
    places: Counter[UUID] = Counter()
    rounds: defaultdict[tuple[int, str], list[tuple[Any, ...]]] = defaultdict(list)
    for recorded in batch:
        for change in changes(recorded):
            rounds[places[recorded.aggregate_id], change.statement].append(change.values)
            places[recorded.aggregate_id] += 1
    for (_, statement), values in sorted(rounds.items(), key=lambda item: item[0][0]):
        await db.executemany(statement, values)
