"""What is so about a case before any pixel is drawn, and the streams of chance it is drawn from."""

from math import log
from typing import Literal
from uuid import UUID, uuid5
from zlib import crc32

import numpy as np
from msgspec import Struct
from numpy.random import PCG64, Generator

from domain.stroke import PREDICTED, Answer, Cause, band
from projections.groups import split_of
from projections.rows import Split
from training.synthetic import VERSION
from training.synthetic.frequencies import (
    AF_FOUND,
    AF_UNKNOWN,
    AGE_YEARS,
    DIFFICULTY,
    HYPERTENSION,
    HYPERTENSION_UNKNOWN,
    MAIN_ML_LOG_SD,
    OTHERS,
    ROSARY,
    TABLE,
    Mode,
    Pattern,
    shares,
)

CASES = UUID("5e0b7a4c-9d1f-5f0e-8a55-2f6f0c9b7e02")
CENTRES = ("centre-a", "centre-b", "centre-c")
NEW_CENTRE = "centre-new"

Layer = Literal["facts", "anatomy", "lesions", "images", "screens", "hostile", "stranger"]


class Plan(Struct, frozen=True, kw_only=True):
    """What all cases of a run share. `difficulty` from 0 (as `easy`) to 1; None: as the mode has it.
    `prevalence`: share of cardioembolic among the two causes; `others`: share of cases of neither;
    `hostile`: share of cases to which somebody adds a file that is no scan. `split`: that of every
    case; None: by lot."""

    mode: Mode = "realistic"
    seed: int = 0
    difficulty: float | None = None
    prevalence: float = 0.5
    others: float = 0.0
    hostile: float = 0.0
    split: Split | None = None

    @property
    def hardness(self) -> float:
        return DIFFICULTY[self.mode] if self.difficulty is None else self.difficulty


class Finding(Struct, frozen=True, kw_only=True):
    """What lesions there are: geometry follows from it alone, whatever the cause."""

    pattern: Pattern
    main_ml: float
    blobs: int
    rosary: bool


class Facts(Struct, frozen=True, kw_only=True):
    """`cause` is the label; `drawn_as` is whose tendencies everything else was drawn by (they
    differ in mode `null`, where the label is a toss, and in causes without tendencies of their own)."""

    id: UUID
    number: int
    cause: Cause
    drawn_as: Cause
    split: Split
    centre: str
    finding: Finding
    age_band: str
    af: Answer
    hypertension: Answer


def stream(plan: Plan, number: int, layer: Layer) -> Generator:
    """Chance of one layer of one case: the same in any process, and for all modes of a seed."""
    return Generator(PCG64([crc32(VERSION.encode()), plan.seed, number, crc32(layer.encode())]))


def facts(plan: Plan, number: int) -> Facts:
    """Case `number` (0 or more) of the plan."""
    rng = stream(plan, number, "facts")
    true = PREDICTED[0 if rng.random() < plan.prevalence else 1]
    other = str(rng.choice(list(OTHERS), p=list(OTHERS.values())))
    toss, is_other = PREDICTED[rng.integers(2)], rng.random() < plan.others
    label = toss if plan.mode == "null" else true
    cause: Cause = other if is_other else label  # type: ignore[assignment]
    who = uuid5(CASES, f"{VERSION}/{plan.seed}/{number}")
    return Facts(
        id=uuid5(CASES, f"{VERSION}/{plan.mode}/{plan.hardness}/{plan.seed}/{number}"),
        number=number,
        cause=cause,
        drawn_as=true,
        split=plan.split or split_of(who, VERSION),
        centre=NEW_CENTRE if plan.mode == "shift" else CENTRES[number % len(CENTRES)],
        finding=_finding(cause, true, plan.hardness, rng),
        age_band=band("age_band", rng.normal(*AGE_YEARS[PREDICTED.index(true)])),
        af=_answer(AF_FOUND[PREDICTED.index(true)], AF_UNKNOWN, rng),
        hypertension=_answer(HYPERTENSION, HYPERTENSION_UNKNOWN, rng),
    )


def _finding(cause: Cause, drawn_as: Cause, difficulty: float, rng: Generator) -> Finding:
    at = PREDICTED.index(drawn_as)
    pattern = _pattern(cause, drawn_as, difficulty, rng)
    spread, rosary = rng.standard_normal(), rng.random() < ROSARY[at]
    if pattern == "none":
        return Finding(pattern=pattern, main_ml=0.0, blobs=0, rosary=False)
    tendency = TABLE[pattern]
    median = tendency.main_ml[at] if tendency.main_ml else 0.0
    least, most = tendency.blobs[at]
    return Finding(
        pattern=pattern,
        main_ml=round(float(np.exp(log(median) + MAIN_ML_LOG_SD * spread)), 2) if median else 0.0,
        blobs=int(rng.integers(least, most + 1)),
        rosary=bool(rosary) and pattern == "unilateral-anterior",
    )


def _pattern(cause: Cause, drawn_as: Cause, difficulty: float, rng: Generator) -> Pattern:
    """Small vessels make lacunes; what has no table of its own is any pattern, or none."""
    likely, any_of = (
        rng.choice(len(TABLE), p=shares(drawn_as, difficulty)),
        rng.integers(len(TABLE)),
    )
    if cause == "not-a-stroke":
        return "none"
    if cause == "small-vessel":
        return "small-subcortical"
    return list(TABLE)[likely if cause in PREDICTED else any_of]


def _answer(share: float, unknown: float, rng: Generator) -> Answer:
    missing, found = rng.random(2)
    if missing < unknown:
        return "unknown"
    return "yes" if found < share else "no"
