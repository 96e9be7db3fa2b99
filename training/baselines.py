"""What a model must be better than, made from the same cases: prior, clinical rule, logistic regression on
simple image statistics, and the same embeddings averaged instead of attended to."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training import calibration
from training.examples import ANSWERS, PATTERNS, Example, collated
from training.head import Head
from training.statistics import rule, statistics

PENALTY: Final = 1.0
STEPS: Final = 300
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 1e-2


class Pooled(NamedTuple):
    """Cases as their tiles' mean: embeddings (b, e), sequences (b, s), context (b, c), target (b,)."""

    embeddings: Tensor
    sequences: Tensor
    context: Tensor
    target: Tensor


class Baselines(NamedTuple):
    """Figures by name, and the logistic regression's weights, its constant last."""

    figures: dict[str, dict[str, int | float]]
    logistic: tuple[float, ...]


def measured(
    learnt: Sequence[Example],
    held_out: Sequence[Example],
    learnt_pooled: Pooled,
    held_out_pooled: Pooled,
    seed: int,
) -> Baselines:
    """Fitted to `learnt`, measured on `held_out`."""
    target = torch.tensor([case.target for case in held_out])
    weights = logistic(learnt)
    share = sum(case.target == 0 for case in learnt) / len(learnt)
    said = {
        "prior": torch.full((len(held_out),), share),
        "clinical_rule": torch.tensor([rule(case.context.af) for case in held_out]),
        "logistic": torch.sigmoid(
            _seen(held_out) @ torch.tensor(weights[:-1], dtype=torch.float64) + weights[-1]
        ),
        "mean_pool": mean_pool(learnt_pooled, held_out_pooled, seed),
    }
    figures = {name: calibration.figures(_both(first), target) for name, first in said.items()}
    return Baselines(figures, weights)


def logistic(cases: Sequence[Example]) -> tuple[float, ...]:
    """Weights for `training.statistics.score`, fitted with a ridge on standardised statistics."""
    seen = _seen(cases)
    middle, spread = seen.mean(0), seen.std(0).clamp(min=1e-6)
    inputs = torch.cat([(seen - middle) / spread, torch.ones(len(seen), 1).double()], 1)
    wanted = torch.tensor([float(case.target == 0) for case in cases]).double()
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        fit = functional.binary_cross_entropy_with_logits(inputs @ weights, wanted, reduction="sum")
        value = fit + PENALTY / 2 * weights[:-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slopes = weights.detach()[:-1] / spread
    constant = weights.detach()[-1] - (slopes * middle).sum()
    return tuple(round(float(value), 9) for value in (*slopes, constant))


def mean_pool(learnt: Pooled, held_out: Pooled, seed: int) -> Tensor:
    """Chance of the first cause by a head of its own on the trained encoder's averaged embeddings."""
    torch.manual_seed(seed)
    width, sequences = learnt.embeddings.shape[1], learnt.sequences.shape[1]
    head = Head(width, sequences, ANSWERS, len(PATTERNS), "mean")
    optimizer = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for _ in range(STEPS):
        optimizer.zero_grad()
        functional.cross_entropy(_said(head, learnt), learnt.target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.inference_mode():
        return torch.softmax(_said(head, held_out), 1)[:, 0]


def pooled(cases: Sequence[Example], embeddings: Sequence[Tensor], sequences: int) -> Pooled:
    """Of cases with the embeddings (n, e) of their tiles; `sequences` of 0 leaves those out."""
    told = [torch.from_numpy(case.sequence[:, :sequences]).mean(0) for case in cases]
    batch = collated(cases)
    means = torch.stack([each.mean(0) for each in embeddings])
    return Pooled(means, torch.stack(told), batch.context, batch.target)


def _said(head: Head, cases: Pooled) -> Tensor:
    real = torch.ones(len(cases.target), 1, dtype=torch.bool)
    inputs = cases.embeddings[:, None], real, cases.sequences[:, None], cases.context
    logits: Tensor = head(*inputs).logits
    return logits


def _seen(cases: Sequence[Example]) -> Tensor:
    return torch.from_numpy(np.stack([statistics(case.tiles, case.context) for case in cases]))


def _both(first: Tensor) -> Tensor:
    """Probability of both causes (b, 2) from that of the first."""
    return torch.stack([first, 1 - first], 1).float()
