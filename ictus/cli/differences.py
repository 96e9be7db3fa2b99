"""`ictus dataset diff`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ictus.cli.errors import UNVERIFIED
from ictus.cli.options import Data, Json, house, put_json, put_table, sequence_of, tell
from ictus.cli.progress import progress

if TYPE_CHECKING:
    from ictus.differences import Folder
    from ictus.wiring import House
    from projections.differences import Difference, Differences, Side
    from projections.spec import Spec

COLUMNS = ("case", "row", "fields", "because of")


def diff(
    a: str,
    b: str,
    *,
    spec: Annotated[
        Path | None, Parameter(help="TOML file, for those that are not folders.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Which rows changed, and the events that did it.

    Parameters
    ----------
    a
        A ledger sequence, a time such as 2026-11-22T10:00Z, or a folder that was built.
    b
        Likewise.
    """
    asyncio.run(_diff(_folder_or_text(a), _folder_or_text(b), spec, data, json))


async def _diff(
    a: "Folder | str", b: "Folder | str", spec_file: Path | None, data: str | None, json: bool
) -> None:
    from ictus.datasets import spec_of
    from ictus.differences import compare

    spec = spec_of(spec_file)
    async with house(data, "researcher") as opened:
        one, two = await _side(opened, a, spec), await _side(opened, b, spec)
        with progress("reading the ledger") as told:
            found = await compare(opened, one, two, told)
    if json:
        put_json(found)
    else:
        _tell(found)
    if found.unexplained:
        raise SystemExit(UNVERIFIED)


def _folder_or_text(text: str) -> "Folder | str":
    from ictus.differences import read_folder

    return read_folder(Path(text)) if Path(text).is_dir() else text


async def _side(opened: "House", given: "Folder | str", spec: "Spec") -> "Folder | Side":
    from projections.differences import Side

    if not isinstance(given, str):
        return given
    as_of = await sequence_of(opened, given)
    assert as_of is not None
    return Side(as_of, spec)


def _tell(found: "Differences") -> None:
    if found.rows:
        title = f"From event {found.a.as_of} to event {found.b.as_of}"
        put_table(title, COLUMNS, [_row(each) for each in found.rows])
    tell(
        f"{found.added} added, {found.removed} removed, {found.changed} changed,"
        f" {found.unchanged} unchanged, {found.unexplained} unexplained"
    )


def _row(each: "Difference") -> tuple[str, ...]:
    causes = [
        f"{cause.sequence} {cause.type.removeprefix('ictus.case.').removesuffix('.v1')}"
        for cause in each.causes
    ]
    why = [*causes, *(["another spec"] if each.by_spec else [])]
    return each.case, each.kind, ", ".join(each.fields), ", ".join(why)
