"""All figures of one test, in one table: what a gate may ask for and a report shows."""

from collections.abc import Callable, Sequence
from math import isnan
from typing import Any, Final, NamedTuple

import numpy as np

from domain.stroke import PREDICTED
from training.statistics import rule
from training.testing import measures, slices
from training.testing.cases import Judged
from training.testing.measures import Bools, Floats
from training.testing.pointing import Pointed
from training.testing.resampling import Indices, draws, interval
from training.testing.slices import Slice
from training.testing.truth import Truth

ABOVE_BEST_MAX: Final = 0.03
SHORTCUT_MAX: Final = 0.1
AUROC_OF_REAL_CASES_MAX: Final = 0.9

Figure = float | None


class Outcome(NamedTuple):
    """`figures` by name, None where it could not be measured; `alarms` and `warnings` in words."""

    figures: dict[str, Figure]
    slices: list[Slice]
    alarms: list[str]
    warnings: list[str]


class Table(NamedTuple):
    """Cases as columns; `rule` is what the clinical rule alone would score (is AF known?), `logistic`
    what the bundle's regression on simple statistics would, if it has one."""

    positive: Bools
    score: Floats
    rule: Floats
    logistic: Floats | None
    right: Bools
    answered: Bools
    covered: Bools


def measured(
    cases: Sequence[Judged],
    truths: dict[str, Truth],
    moved: dict[str, list[float]],
    pointed: Sequence[Pointed],
    spec: dict[str, Any],
    unseen: int = 0,
) -> Outcome:
    """`moved` are the changes of the score under what changes nothing, `pointed` what occlusion says
    of some cases; `spec` is the dataset's; `unseen` are the cases in which the model saw no head."""
    table = table_of(cases)
    drawn = draws([case.row.patient for case in cases])
    found = slices.slices(cases, truths)
    figures = {
        **_counts(table, unseen),
        **_discrimination(table, drawn),
        **_calibration(table),
        **_answers(table, unseen),
        **_worst(found, slices.slice_of(cases, truths)),
        **{f"moved_by_{name}": _ninety_five(by) for name, by in moved.items()},
        **_of_made_up(cases, truths),
        "pointing": _mean([float(each.hit) for each in pointed]),
        "pointing_by_chance": _mean([each.chance for each in pointed]),
        "latency_p95_ms": _ninety_five([1000 * case.seconds for case in cases]),
    }
    synthetic = all(case.row.origin == "synthetic" for case in cases)
    return Outcome(
        figures={name: _rounded(value) for name, value in figures.items()},
        slices=found,
        alarms=list(_alarms(figures, cases, truths, spec)),
        warnings=[] if synthetic else list(_warnings(figures)),
    )


def table_of(cases: Sequence[Judged]) -> Table:
    return Table(
        positive=np.array([case.positive for case in cases], bool),
        score=np.array([case.score / 1000 for case in cases], float),
        rule=np.array([rule(case.row.context.get("af", "")) for case in cases], float),
        logistic=_column([case.logistic for case in cases]),
        right=np.array([case.right for case in cases], bool),
        answered=np.array([case.answered for case in cases], bool),
        covered=np.array([case.covered for case in cases], bool),
    )


def _counts(table: Table, unseen: int) -> dict[str, Figure]:
    return {
        "n": len(table.positive),
        "n_positive": int(table.positive.sum()),
        "unseen": unseen,
    }


def _discrimination(table: Table, drawn: Sequence[Indices]) -> dict[str, Figure]:
    def auroc(score: Floats) -> Callable[[Indices], float]:
        return lambda at: measures.auroc(table.positive[at], score[at])

    own, rule = auroc(table.score), auroc(table.rule)
    count = len(table.positive)
    low, value, high = interval(own, count, drawn)
    better = interval(lambda at: own(at) - rule(at), count, drawn)
    return {
        "auroc": value,
        "auroc_low": low,
        "auroc_high": high,
        "rule_auroc": measures.auroc(table.positive, table.rule),
        "above_rule": better.value,
        "above_rule_low": better.low,
        **_above_logistic(table, drawn),
        "sensitivity_at_80": measures.sensitivity_at(table.positive, table.score, 0.8),
        "sensitivity_at_90": measures.sensitivity_at(table.positive, table.score, 0.9),
    }


def _above_logistic(table: Table, drawn: Sequence[Indices]) -> dict[str, Figure]:
    said = table.logistic
    if said is None:
        return dict.fromkeys(("logistic_auroc", "above_logistic", "above_logistic_low"))
    better = interval(
        lambda at: (
            measures.auroc(table.positive[at], table.score[at])
            - measures.auroc(table.positive[at], said[at])
        ),
        len(table.positive),
        drawn,
    )
    return {
        "logistic_auroc": measures.auroc(table.positive, said),
        "above_logistic": better.value,
        "above_logistic_low": better.low,
    }


def _column(values: Sequence[float | None]) -> Floats | None:
    """None unless there is one of every case."""
    known = [value for value in values if value is not None]
    return np.array(known, float) if known and len(known) == len(values) else None


def _calibration(table: Table) -> dict[str, Figure]:
    slope, intercept = measures.calibration_line(table.positive, table.score)
    return {
        "ece": measures.ece(table.positive, table.score),
        "brier": measures.brier(table.positive, table.score),
        "slope": slope,
        "intercept": intercept,
    }


def _answers(table: Table, unseen: int) -> dict[str, Figure]:
    """Coverage is the share of cases whose true cause was left open: of the class it is lowest for.
    Who saw nothing did not answer."""
    by_class = {
        cause: _share(table.covered[table.positive == (at == 0)])
        for at, cause in enumerate(PREDICTED)
    }
    known = [share for share in by_class.values() if share is not None]
    return {
        "coverage": min(known, default=None),
        **{f"coverage_{cause}": share for cause, share in by_class.items()},
        "accuracy": _share(table.right),
        "answered_rate": _share(np.append(table.answered, np.zeros(unseen, bool))),
        "accuracy_answered": _share(table.right[table.answered]),
    }


def _worst(found: Sequence[Slice], whole: Slice) -> dict[str, Figure]:
    worst = slices.worst(found, whole)
    if worst is None:
        return {"worst_slice_auroc": None, "worst_slice_gap": None}
    return {"worst_slice_auroc": worst.auroc, "worst_slice_gap": worst.below(whole)}


def _of_made_up(cases: Sequence[Judged], truths: dict[str, Truth]) -> dict[str, Figure]:
    """What only made-up cases can tell: the best AUROC there could be, and where the model looked."""
    known = [(case, truths[case.row.case]) for case in cases if case.row.case in truths]
    looked = [_looks_at_lesion(case, truth) for case, truth in known]
    told = [each for each in looked if each is not None]
    return {
        "oracle_auroc": _ideal([(case.positive, truth.oracle) for case, truth in known]),
        "ceiling_auroc": _ideal([(case.positive, truth.ceiling) for case, truth in known]),
        "attention_on_lesion": _mean([float(each) for each in told]),
    }


def _ideal(told: Sequence[tuple[bool, int | None]]) -> Figure:
    """AUROC of who says the permille beside each class."""
    said = [(positive, permille) for positive, permille in told if permille is not None]
    if not said:
        return None
    positive, score = zip(*said, strict=True)
    return measures.auroc(np.array(positive, bool), np.array(score, float))


def _looks_at_lesion(case: Judged, truth: Truth) -> bool | None:
    """Does the image that counted most show lesion? None when none does, or there is only one."""
    shown = [truth.lesions.get(image.sha256, 0) > 0 for image in case.row.images]
    if len(shown) < 2 or not any(shown):
        return None
    return shown[int(np.argmax(case.attention))]


def _alarms(
    figures: dict[str, Figure],
    cases: Sequence[Judged],
    truths: dict[str, Truth],
    spec: dict[str, Any],
) -> list[str]:
    """Signs that the model knows what it cannot know."""
    alarms = []
    auroc, low = figures["auroc"], figures["auroc_low"]
    best = (
        figures["ceiling_auroc"]
        if figures["ceiling_auroc"] is not None
        else figures["oracle_auroc"]
    )
    if auroc is not None and best is not None and auroc > best + ABOVE_BEST_MAX:
        alarms.append(f"AUROC {auroc:.3f} is above {best:.3f}, the best there can be: a leak")
    if spec.get("mode") == "null" and low is not None and low > 0.5:
        alarms.append("labels drawn by lot were told better than by chance: a leak")
    for name, told in slices.shortcuts(cases, truths):
        if told > SHORTCUT_MAX:
            alarms.append(f"the score tells how a case came ({name}): a shortcut")
    return alarms


def _warnings(figures: dict[str, Figure]) -> list[str]:
    auroc = figures["auroc"]
    if auroc is not None and auroc > AUROC_OF_REAL_CASES_MAX:
        return [f"AUROC {auroc:.3f} is more than images alone are known to tell: look for a leak"]
    return []


def _ninety_five(values: Sequence[float]) -> Figure:
    """The 95th percentile."""
    return float(np.quantile(values, 0.95)) if values else None


def _mean(values: Sequence[float]) -> Figure:
    return sum(values) / len(values) if values else None


def _share(found: Bools) -> Figure:
    return float(found.mean()) if len(found) else None


def _rounded(value: Figure) -> Figure:
    """Four places; what is not defined is not measured."""
    return None if value is None or isnan(value) else round(value, 4)
