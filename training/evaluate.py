"""Calibrates a trained model on held-out cases and measures it on others."""

from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from workers.inference.manifest import Interval

ABSTAIN_BELOW_PERMILLE = 550
WORDS_PERMILLE = (550, 650, 850, 1001)
"""Slightly favours, likely, very likely: an interval is given for each word's range."""

Z95 = 1.959964


def temperature(logits: Tensor, target: Tensor) -> float:
    """The T > 0 that minimises the cross-entropy of logits / T (Guo et al., ICML 2017).

    Targets are Platt's (n + 1) / (n + 2): n cases without an error do not prove certainty.
    """
    log_t = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_t], max_iter=100, line_search_fn="strong_wolfe")
    fixed = logits.double()
    sure = torch.nn.functional.one_hot(target, logits.shape[1]).double()
    counts = sure.sum(0)[target].unsqueeze(1)
    wanted = (sure * counts + 1) / (counts + 2)

    def loss() -> float:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(fixed / log_t.exp(), wanted)
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return round(float(log_t.detach().exp()), 4)


def intervals(probability: Tensor, target: Tensor) -> tuple[Interval, ...]:
    """For each range of the top probability: how often it was right, with Wilson 95 % bounds."""
    top, guess = probability.max(1)
    permille = (1000 * top).round()
    return tuple(
        _interval(low, high, (guess == target)[(permille >= low) & (permille < high)])
        for low, high in pairwise(WORDS_PERMILLE)
    )


def wilson(right: int, cases: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share; all of [0, 1] when nothing was seen."""
    if not cases:
        return 0.0, 1.0
    share, z2 = right / cases, Z95**2 / cases
    middle, half = share + z2 / 2, Z95 * sqrt(share * (1 - share) / cases + z2 / (4 * cases))
    return max(0.0, (middle - half) / (1 + z2)), min(1.0, (middle + half) / (1 + z2))


def metrics(probability: Tensor, target: Tensor) -> dict[str, int | float]:
    """Figures on cases that nothing was chosen by; the first class counts as positive."""
    top, guess = probability.max(1)
    positive, score = (target == 0).int(), probability[:, 0].contiguous()
    answered = (1000 * top).round() >= ABSTAIN_BELOW_PERMILLE
    return {
        "n": len(target),
        "n_positive": int(positive.sum()),
        "auroc": _figure(binary_auroc(score, positive)),
        "accuracy": _figure((guess == target).float().mean()),
        "ece": _figure(binary_calibration_error(score, positive, n_bins=10)),
        "abstention": _figure(1 - answered.float().mean()),
        "accuracy_answered": _figure((guess == target)[answered].float().mean()),
    }


def _interval(at_least: int, below: int, right: Tensor) -> Interval:
    hits, cases = int(right.sum()), len(right)
    low, high = (round(1000 * bound) for bound in wilson(hits, cases))
    return Interval(at_least=at_least, below=below, cases=cases, right=hits, low=low, high=high)


def _figure(value: Tensor) -> float:
    return round(float(value), 4)
