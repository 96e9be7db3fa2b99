"""Intervals of figures by drawing patients anew: cases of one patient come and go together."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1000
LEVEL: Final = 0.95
SEED: Final = 20_260_101

Indices = NDArray[np.intp]


class Interval(NamedTuple):
    """A figure with its 95 % percentile interval; NaN where it is not defined."""

    low: float
    value: float
    high: float


def draws(patients: Sequence[str], resamples: int = RESAMPLES) -> list[Indices]:
    """The same draws of cases, with replacement by patient, for the same patients: so that two models
    are compared on the very same ones."""
    _, group = np.unique(np.asarray(patients), return_inverse=True)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    generator = np.random.Generator(np.random.PCG64(SEED))
    return [
        np.concatenate([members[at] for at in generator.integers(0, len(members), len(members))])
        for _ in range(resamples)
    ]


def interval(figure: Callable[[Indices], float], cases: int, drawn: Sequence[Indices]) -> Interval:
    """`figure` of all cases, with its spread over the draws (B. Efron, R. Tibshirani, 1993, ch. 13)."""
    spread = np.array([figure(draw) for draw in drawn])
    spread = spread[~np.isnan(spread)]
    value = figure(np.arange(cases))
    if not len(spread):
        return Interval(float("nan"), value, float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(spread, [tail, 1 - tail])
    return Interval(float(low), value, float(high))
