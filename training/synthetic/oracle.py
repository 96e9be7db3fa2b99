"""How well the cause can be told at all: Bayes' rule with the very table the cases are drawn from.

Nothing here is measured on pictures: these are exact sums over what can be drawn. The label is the
cause, cardioembolic counting as positive.
"""

from math import erf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from domain.stroke import BANDS, PREDICTED, Answer
from training.synthetic.facts import Facts, Finding, Plan
from training.synthetic.frequencies import (
    AF_FOUND,
    AF_UNKNOWN,
    AGE_YEARS,
    MAIN_ML_LOG_SD,
    ROSARY,
    TABLE,
    Pattern,
    Tendency,
    shares,
)

Chances = NDArray[np.float64]
"""(outcomes, 2): the chance of each outcome under each cause; columns sum to 1."""

VOLUME_STEPS = 41


def auroc(chances: Chances) -> float:
    """The chance that the likelihood ratio ranks a positive case above a negative; ties count half."""
    positive, negative = chances[chances.sum(1) > 0].T
    ratio = np.round(positive / (positive + negative), 12)
    _, rank = np.unique(ratio, return_inverse=True)
    above, below = np.bincount(rank, positive), np.bincount(rank, negative)
    lower = np.cumsum(below) - below
    return float((above * (lower + below / 2)).sum())


def oracle_auroc(plan: Plan) -> float:
    """Of who sees the pattern and knows what was answered about atrial fibrillation."""
    return _told(plan, joint(patterns(plan.hardness), atrial_fibrillation()))


def pattern_auroc(plan: Plan) -> float:
    """Of who sees the pattern only."""
    return _told(plan, patterns(plan.hardness))


def ceiling_auroc(plan: Plan) -> float:
    """Of who knows the pattern, each lesion's size and number, the age band and atrial fibrillation."""
    seen = [
        share * _lesions(name) for name, share in zip(TABLE, patterns(plan.hardness), strict=True)
    ]
    return _told(plan, joint(joint(np.concatenate(seen), atrial_fibrillation()), age_bands()))


def posterior(plan: Plan, facts: Facts) -> float | None:
    """The chance of a cardioembolic cause given pattern and atrial fibrillation; None where the
    question does not apply."""
    if facts.cause not in PREDICTED:
        return None
    if plan.mode == "null":
        return 0.5
    chance = patterns(plan.hardness)[list(TABLE).index(facts.finding.pattern)]
    weight = chance * _af(facts.af) * (plan.prevalence, 1 - plan.prevalence)
    return round(float(weight[0] / weight.sum()), 6)


def ceiling(plan: Plan, facts: Facts) -> float | None:
    """The chance of a cardioembolic cause given all that depends on the cause: `ceiling_auroc` is of
    who says this. None where the question does not apply."""
    oracle = posterior(plan, facts)
    if oracle is None or plan.mode == "null":
        return oracle
    age = age_bands()[list(BANDS["age_band"].values()).index(facts.age_band)]
    weight = np.array([oracle, 1 - oracle]) * age * _lesion(facts.finding)
    return round(float(weight[0] / weight.sum()), 6)


def patterns(difficulty: float) -> Chances:
    return np.stack([shares(cause, difficulty) for cause in PREDICTED], 1)


def atrial_fibrillation() -> Chances:
    return np.stack([_af(answer) for answer in ("yes", "no", "unknown")])


def age_bands() -> Chances:
    return np.stack([_ages(*years) for years in AGE_YEARS], 1)


def joint(one: Chances, other: Chances) -> Chances:
    """Of two facts that are independent once the cause is known."""
    return np.asarray((one[:, None] * other[None]).reshape(-1, 2))


def _told(plan: Plan, chances: Chances) -> float:
    return 0.5 if plan.mode == "null" else auroc(chances)


def _af(answer: Answer) -> Chances:
    found = np.array(AF_FOUND)
    known = {"yes": found, "no": 1 - found}
    return (1 - AF_UNKNOWN) * known[answer] if answer in known else np.full(2, AF_UNKNOWN)


def _ages(mean: float, sd: float) -> Chances:
    def below(age: float) -> float:
        return (1 + erf((age - mean) / sd / sqrt(2))) / 2

    edges = [0.0, *(below(start) for start in list(BANDS["age_band"])[1:]), 1.0]
    return np.diff(edges)


def _lesion(finding: Finding) -> Chances:
    """Of one number, size and rosary, under each cause (2,), given the pattern."""
    tendency = TABLE[finding.pattern]
    rosary = _rosaries(finding.pattern)[0 if finding.rosary else -1]
    size = np.ones(2)
    if tendency.main_ml:
        away = (log(finding.main_ml) - np.log(tendency.main_ml)) / MAIN_ML_LOG_SD
        size = np.exp(-(away**2) / 2)
    return np.asarray(_blobs(tendency, finding.blobs) * rosary * size)


def _lesions(pattern: Pattern) -> Chances:
    """Of number, size and rosary, given a pattern."""
    tendency = TABLE[pattern]
    counts = range(min(r.least for r in tendency.blobs), max(r.most for r in tendency.blobs) + 1)
    blobs = np.stack([_blobs(tendency, n) for n in counts])
    rosary = _rosaries(pattern)
    main = _volumes(*np.log(tendency.main_ml)) if tendency.main_ml else np.ones((1, 2))
    return joint(joint(blobs, rosary), main)


def _blobs(tendency: Tendency, count: int) -> Chances:
    return np.array([(r.least <= count <= r.most) / (r.most - r.least + 1) for r in tendency.blobs])


def _rosaries(pattern: Pattern) -> Chances:
    """With a row of lesions first, without last."""
    if pattern == "unilateral-anterior":
        return np.stack([ROSARY, np.subtract(1, ROSARY)])
    return np.ones((1, 2))


def _volumes(*middles: float) -> Chances:
    """Two log-normal volumes of equal spread, in steps."""
    steps = np.linspace(
        min(middles) - 4 * MAIN_ML_LOG_SD, max(middles) + 4 * MAIN_ML_LOG_SD, VOLUME_STEPS
    )
    chances = np.stack([np.exp(-(((steps - m) / MAIN_ML_LOG_SD) ** 2) / 2) for m in middles], 1)
    return np.asarray(chances / chances.sum(0))
