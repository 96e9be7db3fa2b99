"""What many commands share: the data directory, JSON output, and a connected house."""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from ictus import settings as settings_of
from ictus.settings import Settings

if TYPE_CHECKING:
    from ictus.wiring import House

Data = Annotated[
    str | None, Parameter(name="--data", help="Data directory (ICTUS_DATA; .ictus/site).")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Machine-readable output.")]
AsOf = Annotated[
    str | None,
    Parameter(name="--as-of", help="A ledger sequence, or a time such as 2026-11-22T10:00Z."),
]

Count = Annotated[int, Parameter(validator=Number(gte=1))]

NO_LEDGER = "there is no ledger on this NATS server: `ictus furnish` makes one"
SITE, DEMO = ".ictus/site", ".ictus/demo"


class BadTime(Exception):
    """Not a sequence and not a time with a zone."""


def read_settings(data: str | None, **overrides: Any) -> Settings:
    """From the environment; without any data directory named, the demo's if it is the only one."""
    chosen = data or os.environ.get("ICTUS_DATA")
    if chosen is None and Path(DEMO).exists() and not Path(SITE).exists():
        chosen = DEMO
    return settings_of.read(os.environ, data=chosen, **overrides)


@asynccontextmanager
async def house(data: str | None, user: str = "operator") -> "AsyncIterator[House]":
    """A house for a short command, on running servers or on embedded ones started for it, where it
    is the NATS user `user`.

    Raises Unavailable when no server answers or no ledger is there.
    """
    from nats.js.errors import NotFoundError

    from commands.ports import Unavailable
    from ictus.stack import attached
    from ictus.wiring import open_house

    async with attached(read_settings(data)) as settings, open_house(settings, user) as opened:
        try:
            yield opened
        except NotFoundError:
            raise Unavailable(NO_LEDGER) from None


async def sequence_of(opened: "House", as_of: str | None) -> int | None:
    """What was known then: the last sequence before the first event later than the time."""
    if as_of is None:
        return None
    if as_of.isdigit():
        return int(as_of)
    try:
        time = datetime.fromisoformat(as_of)
    except ValueError:
        time = datetime.min  # noqa: DTZ901  only its missing zone matters
    if time.tzinfo is None:
        raise BadTime(f"`{as_of}` is neither a sequence nor a time with a zone: 2026-11-22T10:00Z")
    from ictus.past import sequence_at

    return await sequence_at(opened.books.ledger, opened.database, time)


def put_json(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


WHOLE_CHARACTERS_MAX = 12
"""Columns that are no wider are not broken as long as others can be."""


def put_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        widest = max((len(row[place]) for row in texts), default=0)
        heading = column.replace("_", " ")
        table.add_column(heading, overflow="fold", no_wrap=widest <= WHOLE_CHARACTERS_MAX)
    for row in texts:
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)  # `ictus[heic]` and `[/x].jpg` are no markup


def tell(text: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(text + "\n")
