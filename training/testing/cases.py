"""What a bundle says about every labelled case of a dataset's split, as it would be served."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from domain.stroke import LEVEL_INSTRUMENTAL, PREDICTED, Cause
from projections.rows import Row, Split
from training.dataset import Dataset
from training.recognition import sequences_in
from workers.inference.classifier import Classifier, NothingToSee, Prediction
from workers.inference.context import Context

Each = TypeVar("Each")

POSITIVE: Cause = PREDICTED[0]
"""Cardioembolic: what sensitivity speaks of."""


class Judged(NamedTuple):
    """A case and what the bundle said: `score` is the permille of POSITIVE, `answers` the causes left
    open (one is an answer, more is an abstention), `seconds` the time it took."""

    row: Row
    positive: bool
    score: int
    answers: frozenset[Cause]
    attention: tuple[int, ...]
    seconds: float

    @property
    def answered(self) -> bool:
        return len(self.answers) == 1

    @property
    def right(self) -> bool:
        """Whether the more likely cause is the true one."""
        return (2 * self.score >= 1000) == self.positive

    @property
    def covered(self) -> bool:
        """Whether the true cause is left open."""
        return (PREDICTED[0] if self.positive else PREDICTED[1]) in self.answers


def labelled(dataset: Dataset, split: Split) -> list[Row]:
    """Cases whose cause the model predicts, confirmed by an instrument at least."""
    return [row for row in dataset.rows if row.split == split and is_usable(row)]


def is_usable(row: Row) -> bool:
    label = row.label
    return bool(label and label.cause in PREDICTED and label.level >= LEVEL_INSTRUMENTAL)


def judged(classifier: Classifier, dataset: Dataset, split: Split) -> Iterator[Judged]:
    """Every case in which a head can be seen, in the order of their ids."""
    for row in labelled(dataset, split):
        images = [dataset.derivative(image.sha256) for image in row.images]
        sequences = recognised(classifier, images)
        since = time.perf_counter()
        try:
            said = classifier.predict(images, Context.of(row.context), sequences)
        except NothingToSee:
            continue
        assert row.label is not None
        yield Judged(
            row=row,
            positive=row.label.cause == POSITIVE,
            score=score_of(said),
            answers=frozenset(said.left_open),
            attention=said.attention_permille,
            seconds=time.perf_counter() - since,
        )


def recognised(classifier: Classifier, images: Sequence[bytes]) -> Sequence[Sequence[str]]:
    """What ingest would have told of each image's heads, if the model asks for it."""
    return [sequences_in(image) for image in images] if classifier.manifest.sequences else ()


def score_of(said: Prediction) -> int:
    """Permille of POSITIVE."""
    return dict(said.ranked)[POSITIVE]


def evenly(cases: Sequence[Each], at_most: int) -> list[Each]:
    """So many of them, evenly over all."""
    step = -(-len(cases) // at_most) or 1
    return list(cases[::step])
