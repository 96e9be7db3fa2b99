"""Synthetic cases as a dataset for training: every picture cut to its heads, rows as `ictus dataset
build` makes them."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from domain.stroke import Cause, Evidence, label_level
from projections.rows import Row, RowImage, RowLabel
from training import dataset
from training.synthetic import NOTICE, VERSION
from training.synthetic.cases import Case, Picture, case
from training.synthetic.cuts import CUTTERS, By, Cut
from training.synthetic.facts import Plan
from training.synthetic.folder import Progress, begun, each
from training.synthetic.oracle import ceiling, oracle_auroc, posterior
from training.testing.truth import Truth, mask_png, write_lesions, write_truth

EVIDENCE: Final[dict[Cause, Evidence]] = {
    "cardioembolic": "ecg",
    "large-artery": "stenosis",
    "other-determined": "echo",
}


class AllRefused(Exception):
    """There is nothing to make a dataset of."""


class Prepared(NamedTuple):
    """A row, its derivatives and masks of lesion by hash, how many of its pictures were refused, and
    what is true."""

    row: Row
    images: dict[str, bytes]
    lesions: dict[str, bytes]
    refused: int
    truth: Truth


class Built(Struct, frozen=True, kw_only=True):
    """A dataset of synthetic cases; cases none of whose pictures is taken have no row."""

    notice: str
    generator: str
    mode: str
    difficulty: float
    seed: int
    cases: int
    rows: int
    images: int
    images_refused: int
    oracle_auroc: float
    root: str


def write(
    plan: Plan,
    count: int,
    out: Path,
    processes: int | None,
    told: Progress,
    by: By = "ingest",
) -> Built:
    """Writes a dataset of cases 0 to `count` - 1; the same root whatever the number of processes.
    All or nothing. Raises Taken unless `out` is empty or missing, AllRefused."""
    rows, truths, images, refused = [], [], 0, 0
    cases = each(partial(prepare, plan, by), count, processes)
    with begun(out), closing(cases):
        for done, prepared in enumerate(cases, 1):
            refused += prepared.refused
            images += len(prepared.row.images)
            if prepared.images:
                rows.append(prepared.row)
                truths.append(prepared.truth)
                dataset.write_images(out, prepared.images)
                write_lesions(out, prepared.lesions)
            told(done, count)
        if not rows:
            raise AllRefused(f"ingest took none of {refused} pictures: ask for more --cases")
        spec = {**_spec(plan, count, by), "images_refused": refused}
        manifest = dataset.write(out, rows, spec)
        write_truth(out, truths)
    return Built(
        notice=NOTICE["en"],
        generator=VERSION,
        mode=plan.mode,
        difficulty=plan.hardness,
        seed=plan.seed,
        cases=count,
        rows=manifest.rows,
        images=images,
        images_refused=refused,
        oracle_auroc=round(oracle_auroc(plan), 4),
        root=manifest.root,
    )


def prepare(plan: Plan, by: By, number: int) -> Prepared:
    """One case as the dataset builder would have made it from the ledger."""
    made = case(plan, number)
    profile, cutter = CUTTERS[by]
    outcomes = [(picture, cutter(picture)) for picture in made.pictures]
    kept = [(picture, done) for picture, done in outcomes if done]
    images = tuple(_image(picture, done, profile) for picture, done in kept)
    derivatives = {done.sha256: done.derivative for _, done in kept}
    shown = {done.sha256: int(done.lesion.sum()) for _, done in kept}
    return Prepared(
        row=_row(made, images),
        images=derivatives,
        lesions={done.sha256: mask_png(done.lesion) for _, done in kept},
        refused=len(outcomes) - len(kept),
        truth=_truth(plan, made, shown),
    )


def _spec(plan: Plan, count: int, by: By) -> dict[str, int | str]:
    """All that makes the dataset; difficulty and shares in permille, since rows hold no floats."""
    return {
        "notice": NOTICE["en"],
        "generator": VERSION,
        "mode": plan.mode,
        "difficulty_permille": round(1000 * plan.hardness),
        "prevalence_permille": round(1000 * plan.prevalence),
        "others_permille": round(1000 * plan.others),
        "seed": plan.seed,
        "cases": count,
        "profile": CUTTERS[by][0],
        "oracle_auroc_permille": round(1000 * oracle_auroc(plan)),
        **({"split": plan.split} if plan.split else {}),
    }


def _row(made: Case, images: tuple[RowImage, ...]) -> Row:
    known = made.facts
    return Row(
        case=str(known.id),
        site=known.centre,
        patient=str(known.id),
        origin="synthetic",
        images=images,
        context={"af": known.af, "age_band": known.age_band, "hypertension": known.hypertension},
        label=_label(known.cause),
        split=known.split,
        events=(),
    )


def _truth(plan: Plan, made: Case, shown: dict[str, int]) -> Truth:
    return Truth(
        case=str(made.facts.id),
        pattern=made.facts.finding.pattern,
        lesion_ml=round(made.lesion_ml, 2),
        layout=made.layout,
        oracle=_permille(posterior(plan, made.facts)),
        ceiling=_permille(ceiling(plan, made.facts)),
        lesions=shown,
    )


def _permille(chance: float | None) -> int | None:
    return None if chance is None else round(1000 * chance)


def _image(picture: Picture, done: Cut, profile: str) -> RowImage:
    return RowImage(
        sha256=done.sha256,
        width=done.width,
        height=done.height,
        modality=picture.shot.sequence,
        channel=done.channel,
        profile=profile,
    )


def _label(cause: Cause) -> RowLabel:
    evidence = (EVIDENCE.get(cause, "clinical"),)
    return RowLabel(
        cause=cause,
        level=label_level(evidence),
        evidence=evidence,
        stage="discharge",
        rater="synthetic",
    )
