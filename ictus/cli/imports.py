"""`ictus import`."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.errors import PARTIAL
from ictus.cli.options import Data, Json, house, put_json, put_table, tell

if TYPE_CHECKING:
    from adapters.manifest import Row
    from ictus.imports import Outcome

COLUMNS = ("line", "case", "outcome", "why", "image", "told")


def import_cases(
    manifest: Path,
    *,
    images: Path,
    dry_run: Annotated[bool, Parameter(name="--dry-run", negative="")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Takes in existing cases that a manifest lists; repeatable.

    Exits 7 when a row was not taken in; mend it and repeat: what is there already stays as it is.

    Parameters
    ----------
    manifest
        CSV (UTF-8, commas, a header), one row per case; docs/import.md tells its columns.
    images
        The folder below which the manifest's images lie.
    dry_run
        Checks everything and writes nothing.
    """
    from adapters.manifest import read_manifest
    from commands.ports import Missing

    rows = read_manifest(manifest)
    if not images.is_dir():
        raise Missing(f"there is no folder {images}: --images names where the images lie")
    outcomes = asyncio.run(_import(rows, images, dry_run, data, json))
    counts = Counter[str](outcome.outcome for outcome in outcomes)
    if not json:
        _put(outcomes, counts)
    if counts["refused"] or counts["failed"]:
        raise SystemExit(PARTIAL)


async def _import(
    rows: "list[Row]", images: Path, dry_run: bool, data: str | None, json: bool
) -> "list[Outcome]":
    from ictus.imports import import_rows

    outcomes: list[Outcome] = []

    with _progress(len(rows)) as advance:

        def told(outcome: "Outcome") -> None:
            outcomes.append(outcome)
            advance()
            if json:
                put_json(outcome)

        try:
            async with house(data) as opened:
                await import_rows(opened, rows, images, dry_run, told)
        finally:
            if 0 < len(outcomes) < len(rows):
                tell(f"stopped after {len(outcomes)} of {len(rows)} rows; repeat it to go on")
    return outcomes


def _put(outcomes: "list[Outcome]", counts: Mapping[str, int]) -> None:
    from ictus.imports import WRITTEN

    left = [each for each in outcomes if each.outcome not in WRITTEN]
    if left:
        rows = [(o.line, o.key, o.outcome, o.reason, o.file, o.told) for o in left]
        put_table("Not taken in", COLUMNS, rows)
    tell(", ".join(f"{count} {word}" for word, count in sorted(counts.items())))


@contextmanager
def _progress(total: int) -> "Iterator[Callable[[], None]]":
    """A bar with the time left, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("rows", total=total)
        yield lambda: progress.advance(task)
