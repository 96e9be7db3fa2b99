"""`ictus synth`."""

import asyncio
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from ictus.cli.options import Count, Data, Json, put_json, put_table, read_settings, tell
from ictus.cli.progress import progress
from ictus.places import prove_folder
from ictus.settings import BadSetting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ictus.demo.through import Returned
    from training.synthetic.cuts import By
    from training.synthetic.facts import Plan
    from training.synthetic.truth import Parcel

HOUSE = ".ictus/synth"
TOLD = ("--through-bot", "--out", "--as-dataset", "--cut", "--hostile")
APART = (
    ("--through-bot", "--out"),
    ("--through-bot", "--as-dataset"),
    ("--through-bot", "--cut"),
    ("--as-dataset", "--hostile"),
)
COLUMNS = ("case", "synthetic truth", "pattern", "pictures", "answer", "seconds")


def _share(help_: str) -> Parameter:
    return Parameter(validator=Number(gte=0, lte=1), help=help_)


def _flag(help_: str) -> Parameter:
    return Parameter(negative="", help=help_)


Mode = Literal["easy", "realistic", "null", "shortcut", "shift"]
Seed = Annotated[
    int,
    Parameter(
        validator=Number(gte=0),
        help="The same version, mode, seed and number of a case always give the same bytes.",
    ),
]
Difficulty = Annotated[float | None, _share("From 0, as easy, to 1, as realistic.")]
Prevalence = Annotated[float, _share("Share of cardioembolic among the two causes.")]
Others = Annotated[
    float, _share("Share of cases of neither cause: small vessels, undetermined, no stroke.")
]
Hostile = Annotated[float, _share("Share of cases with one more file that is no scan.")]
AsDataset = Annotated[
    bool, _flag("Writes a dataset for training instead: images cut to heads, rows as ever.")
]
Cut = Annotated[
    Literal["ingest", "truth"] | None,
    Parameter(
        help="In a dataset, heads are cut out by ingest, as in life (so unless told otherwise), or by"
        " the truth, which is faster."
    ),
]
Split = Annotated[
    Literal["train", "validation", "test"] | None,
    Parameter(help="Of every case, as for a set that is held out; by lot otherwise."),
]
ThroughBot = Annotated[
    bool,
    _flag(
        f"Sends the cases through a whole running system instead, and says what came back: a demo"
        f" house (--data, {HOUSE}) with a local Bot API emulator."
    ),
]


def synth(
    *,
    cases: Count,
    out: Path | None = None,
    mode: Mode = "realistic",
    seed: Seed = 0,
    difficulty: Difficulty = None,
    prevalence: Prevalence = 0.5,
    others: Others = 0.0,
    hostile: Hostile = 0.0,
    processes: Count | None = None,
    as_dataset: AsDataset = False,
    cut: Cut = None,
    split: Split = None,
    through_bot: ThroughBot = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Makes synthetic cases with their truth. Not clinically valid.

    Parameters
    ----------
    cases
        How many.
    out
        An empty or new folder for files and truth.
    mode
        easy: each pattern from one cause. realistic: patterns as published. null: labels say nothing.
        shortcut: the viewer gives the label away, and lies in the test split. shift: a new centre.
    processes
        All cores unless told otherwise.
    """
    from training.synthetic.facts import Plan

    told = (through_bot, out, as_dataset, cut, hostile)
    _refuse_contradictions({option for option, value in zip(TOLD, told, strict=True) if value})
    plan = Plan(
        mode=mode,
        seed=seed,
        difficulty=difficulty,
        prevalence=prevalence,
        others=others,
        hostile=hostile,
        split=split,
    )
    if through_bot:
        _push(plan, cases, processes, data or HOUSE, json)
    _write(plan, cases, out, processes, (cut or "ingest") if as_dataset else None, json)


def _refuse_contradictions(given: set[str]) -> None:
    for one, other in APART:
        if {one, other} <= given:
            raise BadSetting(f"{one} and {other} exclude each other: leave one of them out")
    if "--cut" in given and "--as-dataset" not in given:
        raise BadSetting("--cut is said of a dataset: add --as-dataset, or leave it out")


def _write(
    plan: "Plan", cases: int, out: Path | None, processes: int | None, cut: "By | None", json: bool
) -> None:
    from training.synthetic import NOTICE, folder, rows

    if out is None:
        raise BadSetting("say where to: --out DIR, an empty or new folder")
    prove_folder(out)
    tell(NOTICE["en"])
    begun = time.monotonic()
    with progress("synthetic cases") as told:
        write = partial(rows.write, by=cut) if cut else folder.write
        written = write(plan, cases, out, processes, told)
    seconds = time.monotonic() - begun
    _tell(msgspec.to_builtins(written), cases / seconds, out, json)


def _push(plan: "Plan", count: int, processes: int | None, data: str, json: bool) -> NoReturn:
    from training.synthetic import NOTICE
    from training.synthetic.folder import each
    from training.synthetic.truth import parcel

    tell(NOTICE["en"])
    with closing(each(partial(parcel, plan), count, processes)) as cases:
        raise SystemExit(asyncio.run(_sent(plan, cases, count, data, json)))


async def _sent(plan: "Plan", cases: "Iterator[Parcel]", count: int, data: str, json: bool) -> int:
    from ictus.demo.through import push

    with progress("cases sent") as told:
        settings = read_settings(data, origin="demo")
        code, returned = await push(plan, cases, count, settings, told)
    if returned and json:
        put_json(returned)
    elif returned:
        _shown(returned)
    return code


def _shown(returned: "Returned") -> None:
    lines = [
        (
            one.code,
            one.cause or f"({one.hostile})",
            one.pattern,
            one.pictures,
            one.said,
            one.seconds,
        )
        for one in returned.outcomes
    ]
    put_table(f"What came back. {returned.notice}", COLUMNS, lines)
    whole = msgspec.to_builtins(returned)
    put_table("All", ("", ""), [(k, _told(v)) for k, v in whole.items() if k != "outcomes"])


def _tell(written: dict[str, Any], cases_per_s: float, out: Path, json: bool) -> None:
    shown = {**written, "cases_per_s": round(cases_per_s, 2), "out": str(out)}
    if json:
        put_json(shown)
        return
    put_table(written["notice"], ("", ""), [(name, _told(value)) for name, value in shown.items()])


def _told(value: object) -> object:
    """What a cell holds: counts as words."""
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
