"""`ictus dataset …`."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ictus.cli.options import AsOf, Data, Json, house, put_json, sequence_of, tell
from ictus.cli.progress import progress


def build(
    *,
    out: Path,
    as_of: AsOf = None,
    spec: Annotated[
        Path | None, Parameter(help="TOML file; without it, every labelled case.")
    ] = None,
    shards: Annotated[
        int | None, Parameter(validator=Number(gte=1, lte=64), help="Processes (one per core).")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Builds rows, images and manifest of a dataset.

    Parameters
    ----------
    out
        A new folder.
    """
    asyncio.run(_build(out, as_of, spec, shards, data, json))


async def _build(
    out: Path,
    as_of: str | None,
    spec: Path | None,
    shards: int | None,
    data: str | None,
    json: bool,
) -> None:
    from ictus.datasets import build_dataset

    async with house(data) as opened:
        until = await sequence_of(opened, as_of)
        with progress("reading the ledger") as told:
            manifest = await build_dataset(opened, out, until, spec, shards, told)
    if json:
        put_json(manifest)
        return
    tell(f"{manifest.rows} rows as of sequence {manifest.as_of} in {out}")
    print(manifest.root)  # noqa: T201  the command's result
