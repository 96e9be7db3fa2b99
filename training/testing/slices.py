"""Parts of the cases by what should not matter, and what should: where is the model worst?"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from training.testing.cases import Judged
from training.testing.measures import auroc
from training.testing.truth import Truth

CASES_PER_CLASS_MIN: Final = 30
"""A slice with fewer of either kind says that it is too small, and no more."""

LESION_ML = (2.0, 10.0)
STANDARD_ERRORS: Final = 2.0

Named = Callable[[Judged, Truth | None], str]


class Slice(NamedTuple):
    """`auroc` is None for a slice that is too small; `best`, of made-up cases, is that of who knows all
    that depends on the cause."""

    by: str
    name: str
    cases: int
    positive: int
    auroc: float | None
    best: float | None = None

    def below(self, whole: "Slice") -> float:
        """How much less is told here than of the whole, beyond what nobody could tell here."""
        if self.auroc is None or whole.auroc is None:
            return 0.0
        lost = whole.auroc - self.auroc
        if self.best is not None and whole.best is not None:
            lost -= max(0.0, whole.best - self.best)
        return max(0.0, lost)


def by_channel(case: Judged, _: Truth | None) -> str:
    channels = {image.channel for image in case.row.images}
    return channels.pop() if len(channels) == 1 else "mixed"


def by_count(case: Judged, _: Truth | None) -> str:
    return str(count) if (count := len(case.row.images)) < 3 else "3 or more"


def by_lesion(_: Judged, truth: Truth | None) -> str:
    if truth is None or truth.lesion_ml is None:
        return ""
    small, large = LESION_ML
    if truth.lesion_ml < small:
        return f"under {small:g} ml"
    return f"{small:g} to {large:g} ml" if truth.lesion_ml <= large else f"over {large:g} ml"


def _context(code: str) -> Named:
    return lambda case, _: case.row.context.get(code, "")


SLICES: Final[dict[str, Named]] = {
    "channel": by_channel,
    "images": by_count,
    "site": lambda case, _: case.row.site,
    "atrial fibrillation": _context("af"),
    "age": _context("age_band"),
    "sex": _context("sex"),
    "lesion": by_lesion,
    "pattern": lambda _, truth: truth.pattern if truth else "",
}
IRRELEVANT: Final[dict[str, Named]] = {
    "channel": by_channel,
    "site": lambda case, _: case.row.site,
    "layout": lambda _, truth: truth.layout if truth else "",
}
"""How a case came says nothing of its cause: a score that tells it has learned a shortcut."""

COMPARED: Final = ("channel", "images", "site", "lesion")
"""Where the worst slice is looked for: the others change what can be known at all."""


def slices(cases: Sequence[Judged], truths: dict[str, Truth]) -> list[Slice]:
    return [
        slice_of(part, truths, by, name)
        for by, named in SLICES.items()
        for name, part in sorted(_parts(cases, truths, named).items())
    ]


def slice_of(
    cases: Sequence[Judged], truths: dict[str, Truth], by: str = "", name: str = ""
) -> Slice:
    positive = np.array([case.positive for case in cases], bool)
    few = min(int(positive.sum()), int((~positive).sum()))
    scores = np.array([case.score for case in cases], float)
    ideal = [truths[case.row.case].ceiling for case in cases if case.row.case in truths]
    known = few >= CASES_PER_CLASS_MIN
    best = [said for said in ideal if said is not None]
    return Slice(
        by=by,
        name=name,
        cases=len(cases),
        positive=int(positive.sum()),
        auroc=auroc(positive, scores) if known else None,
        best=auroc(positive, np.array(best)) if known and len(best) == len(cases) else None,
    )


def worst(found: Sequence[Slice], whole: Slice) -> Slice | None:
    """The farthest below the whole among those that are compared and large enough."""
    known = [each for each in found if each.by in COMPARED and each.auroc is not None]
    return max(known, key=lambda each: each.below(whole), default=None)


def shortcuts(cases: Sequence[Judged], truths: dict[str, Truth]) -> Iterator[tuple[str, float]]:
    """How far, beyond chance by two standard errors, scores of one class tell apart how the cases came:
    0 is not at all, 0.5 entirely. One figure for each name that has enough cases."""
    for by, named in IRRELEVANT.items():
        for name in _parts(cases, truths, named):
            if (told := _told_apart(cases, truths, named, name)) is not None:
                yield f"{by} {name}", told


def _told_apart(
    cases: Sequence[Judged], truths: dict[str, Truth], named: Named, name: str
) -> float | None:
    told = []
    for positive in (True, False):
        own = [case for case in cases if case.positive is positive]
        inside = np.array([named(case, truths.get(case.row.case)) == name for case in own], bool)
        few = min(int(inside.sum()), int((~inside).sum()))
        if few < CASES_PER_CLASS_MIN:
            return None
        scores = np.array([case.score for case in own], float)
        error = sqrt((len(own) + 1) / (12 * inside.sum() * (~inside).sum()))
        told.append(abs(auroc(inside, scores) - 0.5) - STANDARD_ERRORS * error)
    return max(0.0, *told)


def _parts(
    cases: Sequence[Judged], truths: dict[str, Truth], named: Named
) -> dict[str, list[Judged]]:
    """Cases by the name that is given them; those without one are left out."""
    found: dict[str, list[Judged]] = defaultdict(list)
    for case in cases:
        if name := named(case, truths.get(case.row.case)):
            found[name].append(case)
    return found
