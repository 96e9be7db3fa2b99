"""`ictus image …`."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ictus.cli.errors import PARTIAL
from ictus.cli.options import Json, put_json, put_table
from ictus.places import prove_folder

if TYPE_CHECKING:
    from cyclopts import Token

    from ictus.inspection import Inspected

COLUMNS = ("file", "outcome", "why, or how good", "CPU s")


def named(_: Any, tokens: "Sequence[Token]") -> Path:
    """A path; an empty name, which Path takes for the folder one is in, is an error of usage."""
    if not tokens[0].value:
        raise ValueError("an empty name names no file")
    return Path(tokens[0].value)


Named = Annotated[Path, Parameter(converter=named)]


def inspect(first: Named, *more: Named, out: Named | None = None, json: Json = False) -> None:
    """De-identifies local files and says what became of each.

    Exit 7 when not all were ingested, 3 when there is no file at all. Nothing is sent or stored.

    Parameters
    ----------
    first
        An image, or a folder of them; one without any adds nothing.
    more
        Further ones.
    out
        A folder for pictures of before and after. They show what the files show: keep them safe.
    """
    raise SystemExit(asyncio.run(_inspect((first, *more), out, json)))


async def _inspect(paths: tuple[Path, ...], out: Path | None, json: bool) -> int:
    from rich.console import Console
    from rich.progress import track

    from ictus import inspection

    if out:
        prove_folder(out)
    files = inspection.files_in(paths)
    console = Console(stderr=True)
    shown = track(files, "inspecting", console=console, disable=not sys.stderr.isatty())
    found: list[Inspected] = []
    async with aclosing(inspection.inspect(shown, out)) as outcomes:
        async for one in outcomes:
            found.append(one)
            if json:
                put_json(one)
    if not json:
        put_table("Images inspected", COLUMNS, list(inspection.rows(found)))
    return 0 if all(one.outcome == "ingested" for one in found) else PARTIAL
