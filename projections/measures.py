"""How right an answer is, as numbers that say how little they rest on."""

from collections.abc import Iterable, Mapping
from math import sqrt

from msgspec import Struct

from domain.stroke import PREDICTED, Cause

Z_95 = 1.959964
UNDETERMINED: frozenset[Cause] = frozenset(
    {"undetermined-multiple", "undetermined-negative", "undetermined-incomplete"}
)

Pairs = Mapping[tuple[str, str], int]
"""How many cases each pair of words was given, such as (what was said, the label)."""


class Share(Struct, frozen=True):
    """`count` of `of`, with the 95 % Wilson interval (fractions of 1); it says nothing of none."""

    count: int
    of: int
    low: float
    high: float


class Accuracy(Struct, frozen=True):
    """How answers and labels fit for one cause against all others, over the cases that got one cause
    as their answer and have a determined cause as their label.

    With TP cases said to be and labelled the cause, FN labelled so only, FP said so only and TN
    neither: `sensitivity` TP/(TP+FN), `specificity` TN/(TN+FP) (J. Yerushalmy, Public Health Reports
    62, 1947), `precision` TP/(TP+FP), also called the positive predictive value, and `recall`, which
    is sensitivity by its name in information retrieval (C. J. van Rijsbergen, 1979, ch. 7).
    """

    cause: Cause
    sensitivity: Share
    specificity: Share
    precision: Share
    recall: Share


class Agreement(Struct, frozen=True):
    """Of two readers of the same cases. `observed` is the share of equal words; `kappa` is None where
    chance alone would make them agree always, or where there is no case."""

    observed: Share
    kappa: float | None


def wilson(count: int, of: int) -> Share:
    """The score interval of E. B. Wilson (J. Am. Stat. Assoc. 22, 1927), which holds for small
    numbers too."""
    if of == 0:
        return Share(0, 0, 0.0, 1.0)
    share, weight = count / of, Z_95**2 / of
    middle = (share + weight / 2) / (1 + weight)
    reach = Z_95 * sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return Share(count, of, max(0.0, middle - reach), min(1.0, middle + reach))


def accuracy(said_and_label: Pairs) -> tuple[Accuracy, ...]:
    """Of every cause that a model can say."""
    return tuple(_accuracy_for(cause, said_and_label) for cause in PREDICTED)


def _accuracy_for(cause: Cause, pairs: Pairs) -> Accuracy:
    both = pairs.get((cause, cause), 0)
    said = sum(count for (one, _), count in pairs.items() if one == cause)
    labelled = sum(count for (_, other), count in pairs.items() if other == cause)
    everything = sum(pairs.values())
    sensitivity = wilson(both, labelled)
    return Accuracy(
        cause=cause,
        sensitivity=sensitivity,
        specificity=wilson(everything - said - labelled + both, everything - labelled),
        precision=wilson(both, said),
        recall=sensitivity,
    )


def agreement(pairs: Pairs) -> Agreement:
    """J. Cohen's kappa (Educ. Psychol. Meas. 20, 1960): (p_o - p_e) / (1 - p_e), where p_o is the
    share of equal words and p_e the share that readers with these habits would reach by chance."""
    of = sum(pairs.values())
    equal = sum(count for (one, other), count in pairs.items() if one == other)
    # p_e = by_chance / of^2; in whole numbers, so that certainty is exactly certainty.
    by_chance = sum(_given(pairs, 0, word) * _given(pairs, 1, word) for word in _words(pairs))
    kappa = (equal * of - by_chance) / (of**2 - by_chance) if by_chance < of**2 else None
    return Agreement(wilson(equal, of), kappa)


def _words(pairs: Iterable[tuple[str, str]]) -> set[str]:
    return {word for pair in pairs for word in pair}


def _given(pairs: Pairs, reader: int, word: str) -> int:
    return sum(count for pair, count in pairs.items() if pair[reader] == word)
