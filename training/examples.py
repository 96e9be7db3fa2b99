"""Labelled cases of a verified dataset, in memory as a model takes them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from os import cpu_count
from typing import Final, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain.stroke import CONTEXT, PREDICTED
from projections.rows import Row, Split
from training.dataset import Dataset
from training.recognition import sequences_in
from training.synthetic.frequencies import Pattern
from training.testing.cases import is_usable
from training.testing.truth import Truth, read_truth
from workers.inference.classifier import one_hot
from workers.inference.context import UNKNOWN, Context
from workers.ingest import recognise
from workers.pixels import tiles

USES: Final = {
    code: tuple(answer for answer in CONTEXT[code] if answer != UNKNOWN)
    for code in Context.__struct_fields__
}
ANSWERS: Final = sum(map(len, USES.values()))
SEQUENCES: Final = recognise.MRI
PATTERNS: Final[tuple[str, ...]] = get_args(Pattern)
NOT_KNOWN: Final = -1
"""The pattern of a case of which nobody knows it: it counts in no loss."""

WATCHED_PERMILLE: Final = 100


class Example(NamedTuple):
    """A case: tiles (n, 1, side, side), what each is recognised as, one-hot over SEQUENCES (n, s), what
    is known beside them, index into PREDICTED, index into PATTERNS or NOT_KNOWN."""

    case: str
    patient: str
    tiles: NDArray[np.float32]
    sequence: NDArray[np.float32]
    context: Context
    target: int
    pattern: int


class Batch(NamedTuple):
    """Cases laid end to end: tiles (n, 1, side, side), tiles per case (b,), sequence (n, s), context
    (b, c) over USES, target (b,), pattern (b,)."""

    tiles: Tensor
    counts: Tensor
    sequence: Tensor
    context: Tensor
    target: Tensor
    pattern: Tensor


Told = Callable[[int, int], None]


def examples(dataset: Dataset, split: Split, told: Told = lambda done, of: None) -> list[Example]:
    """Cases of a split whose cause the model predicts, confirmed by an instrument, heads visible."""
    rows = [row for row in dataset.rows if row.split == split and is_usable(row)]
    truths = read_truth(dataset.folder)
    found = []
    with ThreadPoolExecutor(cpu_count()) as pool:
        for example in pool.map(lambda row: _example(dataset, row, truths), rows):
            found.append(example)
            told(len(found), len(rows))
    return [example for example in found if len(example.tiles)]


def is_watched(example: Example) -> bool:
    """Whether a training case tells when to stop instead of being learnt from; all of a patient's do."""
    return int.from_bytes(sha256(example.patient.encode()).digest()[:8]) % 1000 < WATCHED_PERMILLE


def collated(cases: Sequence[Example]) -> Batch:
    return Batch(
        tiles=torch.from_numpy(np.concatenate([case.tiles for case in cases])),
        counts=torch.tensor([len(case.tiles) for case in cases]),
        sequence=torch.from_numpy(np.concatenate([case.sequence for case in cases])),
        context=torch.from_numpy(np.stack([case.context.vector(USES) for case in cases])),
        target=torch.tensor([case.target for case in cases]),
        pattern=torch.tensor([case.pattern for case in cases]),
    )


def _example(dataset: Dataset, row: Row, truths: Mapping[str, Truth]) -> Example:
    assert row.label is not None
    images = [dataset.derivative(image.sha256) for image in row.images]
    pixels = [tiles(image) for image in images]
    named = [sequences_in(image) for image in images]
    pattern = truths[row.case].pattern if row.case in truths else ""
    return Example(
        case=row.case,
        patient=row.patient,
        tiles=np.concatenate(pixels),
        sequence=np.concatenate(
            [
                one_hot(names, SEQUENCES, len(part))
                for names, part in zip(named, pixels, strict=True)
            ]
        ),
        context=Context.of(row.context),
        target=[str(cause) for cause in PREDICTED].index(row.label.cause),
        pattern=PATTERNS.index(pattern) if pattern in PATTERNS else NOT_KNOWN,
    )
