"""What a read model is: a schema of tables and how a batch of events changes them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from msgspec import Struct

from commands.ports import Db
from domain.events import Recorded

Apply = Callable[[Db, Sequence[Recorded]], Awaitable[None]]


class Projection(Struct, frozen=True):
    """`ddl` and `apply` name tables without a schema, since a new version is built beside the live
    one; queries read the live one as `name.table`. Raise `revision` when `ddl` or `apply` change:
    the runner then rebuilds. The order of events in and across batches is the ledger's."""

    name: str
    revision: int
    ddl: str
    apply: Apply


class Change(Struct, frozen=True):
    """One statement and its values."""

    statement: str
    values: tuple[Any, ...]


async def execute(db: Db, changes: Iterable[Change]) -> None:
    """In order; neighbours with the same statement go to the server together."""
    pairs = ((change.statement, change.values) for change in changes)
    for statement, group in groupby(pairs, key=itemgetter(0)):
        await db.executemany(statement, [values for _, values in group])
