"""Makes honest numbers of a trained model's logits, on cases that it neither learnt from nor stopped by."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor
from typing import Final

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

from domain.stroke import PREDICTED
from projections.measures import wilson
from training.data import CannotTrain
from workers.inference.manifest import Conformal, Interval

ANSWER_FROM_PERMILLE: Final = 550
"""Conformal sets decide; there is no word for less than this."""

WORDS_PERMILLE: Final = (550, 650, 850, 1001)
"""Slightly favours, likely, very likely: an interval is given for each word's range."""

ECE_BINS: Final = 10


@dataclass
class Calibration:
    """`alpha_permille` of each cause's cases may find their cause left out; `strange_permille` of held-out
    cases would be declined as unlike the training cases."""

    alpha_permille: int = 100
    strange_permille: int = 10


def needed_cases(alpha_permille: int) -> int:
    """Of each cause: with fewer, no limit keeps the promise (n + 1 ranks must resolve alpha)."""
    return ceil(1000 / alpha_permille) - 1


def refuse_too_few(target: Tensor, alpha_permille: int) -> None:
    """Raises CannotTrain when the held-out cases cannot carry conformal limits."""
    needed = needed_cases(alpha_permille)
    for at, cause in enumerate(PREDICTED):
        count = int((target == at).sum())
        if count < needed:
            raise CannotTrain(
                f"the validation split has {count} cases of `{cause}`; {needed} are needed for sets"
                f" that leave out {alpha_permille / 10:g} % at most: gather more cases, or set"
                " calibration.alpha_permille higher"
            )


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


def conformal(probability: Tensor, target: Tensor, alpha_permille: int) -> Conformal:
    """Limits, in the whole permille that are told: of n cases of a cause, the floor(alpha (n + 1))
    least certain ones lie below. Raises CannotTrain."""
    refuse_too_few(target, alpha_permille)
    limits, cases = {}, {}
    for at, cause in enumerate(PREDICTED):
        told = _permille(probability[target == at, at]).sort().values
        rank = floor(alpha_permille * (len(told) + 1) / 1000)
        limits[cause], cases[cause] = int(told[rank - 1]), len(told)
    return Conformal(alpha_permille=alpha_permille, limits=limits, cases=cases)


def farthest(distances: Tensor, strange_permille: int) -> float:
    """The distance beyond which so few held-out cases lie."""
    return round(float(torch.quantile(distances, 1 - strange_permille / 1000)), 4)


def intervals(probability: Tensor, target: Tensor) -> tuple[Interval, ...]:
    """For each range of the top probability: how often it was right, with Wilson 95 % bounds."""
    top, guess = probability.max(1)
    permille = _permille(top)
    return tuple(
        _interval(low, high, (guess == target)[(permille >= low) & (permille < high)])
        for low, high in pairwise(WORDS_PERMILLE)
    )


def figures(probability: Tensor, target: Tensor) -> dict[str, int | float]:
    """The first cause counts as positive."""
    positive, score = (target == 0).int(), probability[:, 0].contiguous()
    return {
        "n": len(target),
        "n_positive": int(positive.sum()),
        "auroc": _figure(binary_auroc(score, positive)),
        "accuracy": _figure((probability.argmax(1) == target).float().mean()),
        "ece": _figure(binary_calibration_error(score, positive, n_bins=ECE_BINS)),
        "log_loss": _figure(
            torch.nn.functional.nll_loss(probability.clamp(min=1e-6).log(), target)
        ),
    }


def _interval(at_least: int, below: int, right: Tensor) -> Interval:
    share = wilson(int(right.sum()), len(right))
    return Interval(
        at_least=at_least,
        below=below,
        cases=share.of,
        right=share.count,
        low=round(1000 * share.low),
        high=round(1000 * share.high),
    )


def _permille(probability: Tensor) -> Tensor:
    return (1000 * probability.double()).round().int()


def _figure(value: Tensor) -> float:
    return round(float(value), 4)
