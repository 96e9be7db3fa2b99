"""Writes a dataset of synthetic cases, each image passed through the real ingest pipeline.

`python -m training.synthset --cases 1000 --seed 0 --out DIR`
"""

import logging
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from signal import SIGTERM, default_int_handler, signal
from typing import NamedTuple
from uuid import UUID, uuid5

import cv2

from domain.stroke import Evidence, label_level
from projections.groups import split_of
from projections.rows import Row, RowImage, RowLabel
from training import dataset, synth
from workers.ingest.pipeline import PROFILE, Ingested, process

log = logging.getLogger("training.synthset")

CASES = UUID("7d3b0f2e-6c55-5c53-9a0e-3b9d2f6f1a11")
EVIDENCE: dict[str, Evidence] = {"cardioembolic": "ecg", "large-artery": "stenosis"}


class Prepared(NamedTuple):
    """A row, its derivatives by hash, and how many of its images ingest refused."""

    row: Row
    images: dict[str, bytes]
    refused: int


def build(cases: int, seed: int, out: Path, mode: str = "easy") -> dataset.DatasetManifest:
    """Generates cases `seed`..`seed + cases - 1` on all cores; the same root every time."""
    rows, refused = [], 0
    for done, case in enumerate(_prepared(range(seed, seed + cases), mode), 1):
        refused += case.refused
        if case.images:
            rows.append(case.row)
            dataset.write_images(out, case.images)
        if done % 100 == 0 or done == cases:
            log.info("synthetic cases %d/%d, images refused by ingest %d", done, cases, refused)
    spec: dict[str, int | str] = {
        "generator": synth.VERSION,
        "mode": mode,
        "seed": seed,
        "cases": cases,
    }
    return dataset.write(out, rows, {**spec, "profile": PROFILE, "images_refused": refused})


def _prepared(seeds: range, mode: str) -> Iterator[Prepared]:
    """In the order of the seeds, whatever the number of processes."""
    with ProcessPoolExecutor(cpu_count(), get_context("spawn"), cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(partial(prepare, mode=mode), seeds, chunksize=4)


def prepare(seed: int, mode: str) -> Prepared:
    """One case as the dataset builder would have made it from the ledger."""
    case = synth.case(seed, mode=mode)
    outcomes = [(image, process(image.data)) for image in case.images]
    kept = [(image, done) for image, done in outcomes if isinstance(done, Ingested)]
    identity = uuid5(CASES, f"{synth.VERSION}/{mode}/{seed}")
    row = Row(
        case=str(identity),
        site="demo",
        patient=str(identity),
        origin="synthetic",
        images=tuple(_image(image, done) for image, done in kept),
        context={"af": case.af, "age_band": case.age_band},
        label=_label(case.cause),
        split=split_of(identity, synth.VERSION),
        events=(),
    )
    return Prepared(
        row, {done.sha256: done.derivative for _, done in kept}, len(outcomes) - len(kept)
    )


def _image(image: synth.SyntheticImage, done: Ingested) -> RowImage:
    return RowImage(
        sha256=done.sha256,
        width=done.width,
        height=done.height,
        modality=image.modality,
        channel=done.source,
        profile=PROFILE,
    )


def _label(cause: str) -> RowLabel:
    evidence = (EVIDENCE[cause],)
    return RowLabel(
        cause=cause,
        level=label_level(evidence),
        evidence=evidence,
        stage="discharge",
        rater="synthetic",
    )


def as_a_command() -> None:
    """Our own progress, and nobody else's, on stderr; SIGTERM ends the worker processes too."""
    signal(SIGTERM, default_int_handler)
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    logging.getLogger("training").setLevel(logging.INFO)


def main() -> None:
    parser = ArgumentParser(description="Writes a dataset of synthetic cases.")
    parser.add_argument("--cases", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    as_a_command()
    manifest = build(arguments.cases, arguments.seed, arguments.out)
    sys.stdout.write(f"{manifest.root}\n")


if __name__ == "__main__":
    main()
