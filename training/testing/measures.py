"""Figures of how well scores tell the positive cases from the others; NumPy, and no randomness.

Everywhere `positive` is bool (n,), `score` is the probability of being positive, float (n,) in 0..1.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

ECE_BINS: Final = 15


def auroc(positive: Bools, score: Floats) -> float:
    """The share of (positive, other) pairs that the score puts in order, ties by half: the Mann-Whitney
    statistic (J. A. Hanley, B. J. McNeil, Radiology 143, 1982). NaN when one kind is missing."""
    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return float("nan")
    return float((ranks(score)[positive].sum() - n * (n + 1) / 2) / (n * m))


def ranks(score: Floats) -> Floats:
    """From 1, lowest first; equal scores share their mean rank."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], np.float64)


def roc(positive: Bools, score: Floats) -> tuple[Floats, Floats, Floats]:
    """False positive rate, sensitivity and the threshold (score >= it) at each step, from (0, 0)."""
    thresholds = np.unique(score)[::-1]
    hits = np.searchsorted(np.sort(score[positive]), thresholds, side="left")
    alarms = np.searchsorted(np.sort(score[~positive]), thresholds, side="left")
    n, m = int(positive.sum()), int((~positive).sum())
    sensitivity = np.concatenate([[0.0], 1 - hits / n])
    false = np.concatenate([[0.0], 1 - alarms / m])
    return false, sensitivity, np.concatenate([[np.inf], thresholds])


def sensitivity_at(positive: Bools, score: Floats, specificity: float) -> float:
    """The best sensitivity of any threshold that keeps at least this specificity."""
    if positive.all() or not positive.any():
        return float("nan")
    false, sensitivity, _ = roc(positive, score)
    return float(sensitivity[false <= 1 - specificity + 1e-12].max())


def ece(positive: Bools, score: Floats, bins: int = ECE_BINS) -> float:
    """Expected calibration error over bins of equal size: the mean distance between what was said and
    what was so (M. P. Naeini et al., AAAI 2015; equal mass: Kumar et al., NeurIPS 2019)."""
    parts = [part for part in reliability(positive, score, bins) if part[2]]
    return float(sum(abs(said - so) * count for said, so, count in parts) / len(score))


def reliability(
    positive: Bools, score: Floats, bins: int = ECE_BINS
) -> list[tuple[float, float, int]]:
    """Per bin of equal size, lowest first: mean score, share of positives, cases."""
    order = np.argsort(score, kind="stable")
    return [
        (float(score[part].mean()), float(positive[part].mean()), len(part))
        for part in np.array_split(order, min(bins, len(order)))
        if len(part)
    ]


def brier(positive: Bools, score: Floats) -> float:
    """Mean squared distance between score and truth (G. W. Brier, Monthly Weather Review 78, 1950)."""
    return float(np.mean((score - positive) ** 2))


def calibration_line(positive: Bools, score: Floats) -> tuple[float, float]:
    """Slope and intercept of logit(P(positive)) on logit(score), by Newton's method: 1 and 0 are
    perfect (D. R. Cox, Biometrika 45, 1958)."""
    logit = np.log(np.clip(score, 1e-3, 1 - 1e-3) / (1 - np.clip(score, 1e-3, 1 - 1e-3)))
    design = np.stack([logit, np.ones_like(logit)], 1)
    weights = np.zeros(2)
    for _ in range(50):
        said = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design.T @ (design * (said * (1 - said))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(curvature, design.T @ (positive - said))
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), float(weights[1])


def mcnemar(one_right: Bools, other_right: Bools) -> float:
    """The exact two-sided p-value that two models are wrong equally often, from the cases where only one
    is right (Q. McNemar, Psychometrika 12, 1947); 1 when there is no such case."""
    only_one = int((one_right & ~other_right).sum())
    differing = only_one + int((~one_right & other_right).sum())
    return _two_sided_coin(min(only_one, differing - only_one), differing)


def _two_sided_coin(at_most: int, of: int) -> float:
    """P of a result as far from even as `at_most` heads of `of` throws, on either side."""
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, of + 1)))])
    heads = np.arange(at_most + 1)
    chances = np.exp(logs[of] - logs[heads] - logs[of - heads] - of * np.log(2))
    return float(min(1.0, 2 * chances.sum()))
