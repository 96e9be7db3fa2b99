"""How often each cause makes each pattern of lesions, and how large: what all cases are drawn from.

Fitted by a developer to published odds ratios; docs/synth.md has the source of every number.
"""

from typing import Final, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from domain.stroke import PREDICTED, Cause

Mode = Literal["easy", "realistic", "null", "shortcut", "shift"]
Pattern = Literal[
    "single-cortico-subcortical",
    "single-cortical",
    "large-subcortical",
    "small-subcortical",
    "scattered",
    "confluent-and-additional",
    "unilateral-anterior",
    "multiple-posterior",
    "bilateral-anterior",
    "anterior-and-posterior",
    "internal-border-zone",
    "cortical-border-zone",
    "none",
]

MODES: Final = get_args(Mode)
DIFFICULTY: Final[dict[Mode, float]] = {
    "easy": 0.0,
    "realistic": 1.0,
    "null": 1.0,
    "shortcut": 1.0,
    "shift": 1.0,
}
"""What each mode starts from: 0 takes every pattern from one cause only, 1 the fitted table."""


class By(NamedTuple):
    """One number for each of the two causes, in the order of `PREDICTED`."""

    cardioembolic: float
    large_artery: float


class Range(NamedTuple):
    """Whole numbers, both ends included, each as likely."""

    least: int
    most: int


class Tendency(NamedTuple):
    """Of one pattern: its share of all cases of a cause, the median volume of its main lesion (mL)
    and the number of its roundish lesions, for each cause."""

    share: By
    main_ml: By | None = None
    blobs: tuple[Range, Range] = (Range(0, 0), Range(0, 0))


TABLE: Final[dict[Pattern, Tendency]] = {
    "single-cortico-subcortical": Tendency(By(0.27, 0.09), By(42, 20)),
    "single-cortical": Tendency(By(0.15, 0.08), By(7, 3.5)),
    "large-subcortical": Tendency(By(0.06, 0.06)),
    "small-subcortical": Tendency(By(0.06, 0.11)),
    "scattered": Tendency(By(0.08, 0.19), None, (Range(2, 4), Range(4, 10))),
    "confluent-and-additional": Tendency(By(0.10, 0.14), By(16, 8), (Range(1, 3), Range(2, 6))),
    "unilateral-anterior": Tendency(By(0.04, 0.11), By(6, 6), (Range(2, 4), Range(2, 4))),
    "multiple-posterior": Tendency(By(0.05, 0.05), By(9, 9), (Range(1, 3), Range(1, 3))),
    "bilateral-anterior": Tendency(By(0.07, 0.02), By(12, 12), (Range(1, 4), Range(1, 4))),
    "anterior-and-posterior": Tendency(By(0.09, 0.03), By(12, 12), (Range(1, 4), Range(1, 4))),
    "internal-border-zone": Tendency(By(0.01, 0.08), None, (Range(3, 6), Range(3, 6))),
    "cortical-border-zone": Tendency(By(0.02, 0.04), None, (Range(2, 4), Range(2, 4))),
}
EASY: Final[dict[Cause, tuple[Pattern, ...]]] = {
    "cardioembolic": (
        "single-cortico-subcortical",
        "bilateral-anterior",
        "anterior-and-posterior",
    ),
    "large-artery": ("scattered", "internal-border-zone"),
}
"""Where difficulty is 0: patterns that only one of the causes makes."""

MAIN_ML_LOG_SD: Final = 0.8
ROSARY: Final = By(0.15, 0.45)
"""Share of unilateral anterior patterns that have a row of lesions in the internal border zone."""

AGE_YEARS: Final = ((74.0, 10.0), (68.0, 11.0))
"""Mean and standard deviation, for each cause."""

AF_FOUND: Final = By(0.45, 0.04)
AF_UNKNOWN: Final = 0.35
HYPERTENSION: Final = 0.7
HYPERTENSION_UNKNOWN: Final = 0.2

OTHERS: Final[dict[Cause, float]] = {
    "small-vessel": 0.5,
    "undetermined-negative": 0.25,
    "other-determined": 0.15,
    "not-a-stroke": 0.1,
}
"""Shares among cases of neither cause, where such are wanted."""


def shares(cause: Cause, difficulty: float) -> NDArray[np.float64]:
    """Of each pattern of `TABLE`, for one of `PREDICTED`; the sum is 1."""
    at = PREDICTED.index(cause)
    fitted = np.array([tendency.share[at] for tendency in TABLE.values()])
    alone = np.array([pattern in EASY[cause] for pattern in TABLE]) * fitted
    return np.asarray((1 - difficulty) * alone / alone.sum() + difficulty * fitted / fitted.sum())
