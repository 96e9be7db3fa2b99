"""`ictus projection …`."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import to_builtins

from ictus.cli.options import Data, Json, house, put_json, put_table, tell


def status(*, data: Data = None, json: Json = False) -> None:
    """Version, position and lag of all."""
    asyncio.run(_status(data, json))


def rebuild(*names: str, data: Data = None, json: Json = False) -> None:
    """Builds some anew, from one reading, and switches.

    Parameters
    ----------
    names
        As `ictus projection status` lists them.
    """
    asyncio.run(_rebuild(names, data, json))


async def _status(data: str | None, json: bool) -> None:
    from projections import runner

    async with house(data, "projector") as opened:
        now = opened.books.clock.now()
        found = await runner.status(opened.database, opened.books.ledger, now)
    if json:
        for line in found:
            put_json(line)
        return
    columns = found[0].__struct_fields__ if found else ()
    rows = [[getattr(line, column) for column in columns] for line in found]
    put_table("Read models", columns, rows)


async def _rebuild(names: tuple[str, ...], data: str | None, json: bool) -> None:
    from commands.ports import Missing
    from ictus.settings import BadSetting
    from projections import PROJECTIONS, runner

    if not names:
        raise BadSetting(f"name read models to rebuild, of: {', '.join(PROJECTIONS)}")
    if unknown := [name for name in names if name not in PROJECTIONS]:
        raise Missing(f"no read model `{unknown[0]}`; there are {', '.join(PROJECTIONS)}")
    chosen = [PROJECTIONS[name] for name in dict.fromkeys(names)]
    async with house(data, "projector") as opened:
        with _progress(", ".join(names)) as progress:
            rebuilt = await runner.rebuild_all(
                chosen, opened.books.ledger, opened.database, progress
            )
    for name, outcome in rebuilt.items():
        if json:
            put_json({"name": name, **to_builtins(outcome)})
        else:
            tell(f"{name} rebuilt: {outcome}")


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
