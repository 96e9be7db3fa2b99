"""`ictus dataset …`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number, mutually_exclusive

from ictus.cli.errors import UNVERIFIED
from ictus.cli.options import AsOf, Data, Json, house, put_json, read_settings, sequence_of, tell
from ictus.cli.progress import progress

if TYPE_CHECKING:
    from adapters.datasets.verifying import Report

Witness = Annotated[
    str | None,
    Parameter(name="--witness", help="The witness's public key (build: this machine's)."),
]
UP_TO_64 = Number(gte=1, lte=64)
HANDS = Group("Who folds", validator=mutually_exclusive)


def build(
    *,
    out: Path,
    as_of: AsOf = None,
    spec: Annotated[
        Path | None, Parameter(help="TOML file; without it, every labelled case.")
    ] = None,
    images: Annotated[
        Literal["copy", "reference"], Parameter(help="Copies of the images, or only their names.")
    ] = "copy",
    webdataset: Annotated[
        bool, Parameter(negative="", help="Writes tar shards for WebDataset as well.")
    ] = False,
    witness: Witness = None,
    shards: Annotated[
        int | None,
        Parameter(group=HANDS, validator=UP_TO_64, help="Processes here (one per core)."),
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(
            group=HANDS,
            validator=UP_TO_64,
            help="Leaves the folding to so many of `ictus run dataset-worker`, on any machines.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        Parameter(
            group=HANDS, help="Leaves it to the Ray cluster at this address; `local` makes one."
        ),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Builds rows, images and proofs of a dataset, signed.

    Parameters
    ----------
    out
        A new folder.
    """
    asyncio.run(
        _build(out, as_of, spec, images, webdataset, witness, (shards, workers, ray), data, json)
    )


def verify(
    folder: Path,
    *,
    key: Annotated[
        str | None, Parameter(help="The public key that signs datasets (the folder's own).")
    ] = None,
    witness: Witness = None,
    offline: Annotated[
        bool, Parameter(negative="", help="Looks at nothing but the folder.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Checks a dataset's folder, each row to its events.

    Parameters
    ----------
    folder
        What `ictus dataset build` wrote. Held against the ledger as well, if it is in reach.
    """
    asyncio.run(_verify(folder, key, witness, offline, data, json))


def proof(
    folder: Path,
    row: str,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    json: Json = False,
) -> None:
    """Writes a row with proof, for anybody to check.

    Parameters
    ----------
    folder
        What `ictus dataset build` wrote.
    row
        Its number, from 1; or its case, by UUID or by the code on the card.
    out
        The file; `python verify.py FILE` checks it anywhere.
    """
    from adapters.datasets import rowproof, verifying

    report = verifying.verify(folder)
    if not report.whole:
        _tell(report, keyed=True)
        raise SystemExit(UNVERIFIED)
    proved = rowproof.prove(folder, row)
    out.write_bytes(proved.text().encode())
    if json:
        put_json({"leaf": proved.leaf, "events": len(proved.events), "root": report.root})
    else:
        tell(f"row {row} and {len(proved.events)} events proved in {out}; key {proved.key}")


async def _build(
    out: Path,
    as_of: str | None,
    spec: Path | None,
    images: Literal["copy", "reference"],
    webdataset: bool,
    witness: str | None,
    hands: tuple[int | None, int | None, str | None],
    data: str | None,
    json: bool,
) -> None:
    from adapters.datasets.writing import Form
    from ictus.datasets import Hands, build_dataset

    async with house(data) as opened:
        until = await sequence_of(opened, as_of)
        form = Form(images, webdataset)
        manifest = await build_dataset(
            opened, out, until, spec, form, witness, Hands(*hands), progress
        )
    if json:
        put_json(manifest)
        return
    tell(f"{manifest.rows} rows as of sequence {manifest.as_of} in {out}")
    print(manifest.root)  # noqa: T201  the command's result


async def _verify(
    folder: Path,
    key: str | None,
    witness: str | None,
    offline: bool,
    data: str | None,
    json: bool,
) -> None:
    from adapters.datasets import verifying
    from ictus.dataset_audit import given_key, is_own

    keys = given_key(key), given_key(witness)
    report = await asyncio.to_thread(verifying.verify, folder, *keys)
    if report.whole and not offline:
        report = await _held_against_ledger(folder, report, data)
    if json:
        put_json(report)
    else:
        own = bool(report.key) and is_own(read_settings(data), report.key)
        _tell(report, keyed=key is not None or own)
    if not report.whole:
        raise SystemExit(UNVERIFIED)


async def _held_against_ledger(folder: Path, report: "Report", data: str | None) -> "Report":
    from commands.ports import Unavailable
    from ictus.dataset_audit import held_against

    try:
        async with house(data, "auditor") as opened:
            return await held_against(opened, folder, report)
    except Unavailable:
        return report


def _tell(report: "Report", keyed: bool) -> None:
    for problem in report.problems:
        tell(f"DAMAGED {problem}")
    if not report.root:
        return
    origin = "" if keyed else " (TAKEN FROM THE FOLDER: compare it with the one you were given)"
    tell(f"root {report.root}, {report.rows} rows, images: {report.images}")
    tell(f"signed by {report.key}{origin}")
    tell(f"erased: {report.erased}")
    if report.erased_since:
        tell(f"ERASED SINCE: {report.erased_since} rows; delete this folder and build it anew")
    if report.unwitnessed:
        tell(f"NOT WITNESSED: no signed checkpoint covers the {report.unwitnessed} events")
    else:
        tell(f"{report.events} events are under the checkpoint of {report.witness or 'no witness'}")
    tell(f"held against {report.live}" if report.live else "checked offline, against no ledger")
    if report.whole:
        tell("whole")
