"""Two bundles on the very same cases: who tells causes better, and is that more than chance?"""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from projections.rows import Split
from training.dataset import Dataset
from training.testing import measures
from training.testing.cases import Judged, judged
from training.testing.figures import table_of
from training.testing.resampling import draws, interval
from training.testing.run import CannotTest
from workers.inference.classifier import Classifier


class Comparison(Struct, frozen=True, kw_only=True):
    """Of `a` against `b` on `cases` of one split: AUROC of each, their difference with its 95 % interval
    over the same draws of patients, the accuracies, and McNemar's p-value of those. `flipped` are the
    cases for which the more likely cause differs."""

    a: str
    b: str
    dataset_root: str
    split: Split
    cases: int
    auroc_a: float
    auroc_b: float
    difference: float
    difference_low: float
    difference_high: float
    accuracy_a: float
    accuracy_b: float
    mcnemar_p: float
    flipped: list[str]


def compared(
    a: Classifier,
    b: Classifier,
    dataset: Dataset,
    split: Split,
    told: Callable[[str], None] = lambda name: None,
) -> Comparison:
    """Raises CannotTest. `told` hears whose turn it is."""
    told(a.manifest.name)
    one = {case.row.case: case for case in judged(a, dataset, split)}
    told(b.manifest.name)
    other = {case.row.case: case for case in judged(b, dataset, split)}
    shared = sorted(one.keys() & other.keys())
    return _compared(a, b, dataset, split, [one[id_] for id_ in shared], [other[i] for i in shared])


def _compared(
    a: Classifier,
    b: Classifier,
    dataset: Dataset,
    split: Split,
    by_a: Sequence[Judged],
    by_b: Sequence[Judged],
) -> Comparison:
    if len({case.positive for case in by_a}) < 2:
        raise CannotTest(f"split `{split}` of {dataset.folder} has too few cases that both tell")
    one, other = table_of(by_a), table_of(by_b)
    better = interval(
        lambda at: (
            measures.auroc(one.positive[at], one.score[at])
            - measures.auroc(other.positive[at], other.score[at])
        ),
        len(by_a),
        draws([case.row.patient for case in by_a]),
    )
    flipped = np.flatnonzero(one.right != other.right)
    return Comparison(
        a=f"{a.manifest.name} {a.manifest.version}",
        b=f"{b.manifest.name} {b.manifest.version}",
        dataset_root=dataset.manifest.root,
        split=split,
        cases=len(by_a),
        auroc_a=round(measures.auroc(one.positive, one.score), 4),
        auroc_b=round(measures.auroc(other.positive, other.score), 4),
        difference=round(better.value, 4),
        difference_low=round(better.low, 4),
        difference_high=round(better.high, 4),
        accuracy_a=round(float(one.right.mean()), 4),
        accuracy_b=round(float(other.right.mean()), 4),
        mcnemar_p=round(measures.mcnemar(one.right, other.right), 4),
        flipped=[by_a[int(at)].row.case for at in flipped],
    )
