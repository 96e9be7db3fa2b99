"""Calibration, conformal sets and intervals keep what they promise."""

from itertools import pairwise

import pytest
import torch

from domain.stroke import PREDICTED
from projections.measures import wilson
from training import calibration
from training.data import CannotTrain


def test_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4000)
    target = (torch.rand(4000) < torch.sigmoid(-scores)).long()
    honest = torch.stack([scores / 2, -scores / 2], 1)
    assert calibration.temperature(honest, target) == pytest.approx(1, abs=0.1)
    assert calibration.temperature(honest * 3, target) == pytest.approx(3, abs=0.3)


def test_perfection_on_few_cases_does_not_make_certainty() -> None:
    target = torch.tensor([0, 1] * 20)
    perfect = torch.nn.functional.one_hot(target, 2) * 8.0
    shared = torch.softmax(perfect / calibration.temperature(perfect, target), 1)
    assert shared.max() == pytest.approx(21 / 22, abs=0.002)


@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [(7, 10, 0.397, 0.892), (70, 100, 0.604, 0.781), (0, 5, 0, 0.434), (0, 0, 0, 1)],
)
def test_wilson_bounds_agree_with_published_values(
    right: int, cases: int, low: float, high: float
) -> None:
    share = wilson(right, cases)
    assert (share.low, share.high) == pytest.approx((low, high), abs=0.001)


def test_every_answer_falls_into_one_interval() -> None:
    rng = torch.Generator().manual_seed(0)
    share = torch.rand(300, generator=rng)
    rows = calibration.intervals(torch.stack([share, 1 - share], 1), (share < 0.5).long())
    assert rows[0].at_least == calibration.ANSWER_FROM_PERMILLE
    assert rows[-1].below > 1000
    assert all(one.below == two.at_least for one, two in pairwise(rows))
    answered = ((1000 * torch.maximum(share, 1 - share)).round() >= 550).sum()
    assert sum(row.cases for row in rows) == sum(row.right for row in rows) == answered


def drawn(cases: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities that tell something, and the second cause four times as often as the first."""
    rng = torch.Generator().manual_seed(seed)
    target = (torch.rand(cases, generator=rng) < 0.8).long()
    score = torch.randn(cases, generator=rng) + 1.5 * (1 - 2 * target)
    first = torch.sigmoid(score)
    return torch.stack([first, 1 - first], 1), target


@pytest.mark.parametrize("alpha", [100, 200])
def test_each_cause_is_left_open_as_often_as_promised(alpha: int) -> None:
    missed = {0: [], 1: []}
    for seed in range(60):
        made = calibration.conformal(*drawn(200, seed), alpha)
        told, target = drawn(400, 1000 + seed)
        for at, cause in enumerate(PREDICTED):
            said = (1000 * told[target == at, at]).round()
            missed[at].append(float((said < made.limits[cause]).float().mean()))
    for shares in missed.values():
        assert sum(shares) / len(shares) == pytest.approx(alpha / 1000, abs=0.02)


def test_limits_are_refused_where_too_few_cases_could_carry_them() -> None:
    assert calibration.needed_cases(100) == 9
    told = torch.full((18, 2), 0.5)
    enough = torch.tensor([0] * 9 + [1] * 9)
    assert calibration.conformal(told, enough, 100).cases == dict.fromkeys(PREDICTED, 9)
    with pytest.raises(CannotTrain, match="8 cases of `cardioembolic`; 9 are needed"):
        calibration.conformal(told, torch.tensor([0] * 8 + [1] * 10), 100)


def test_few_held_out_cases_are_strange() -> None:
    distances = torch.arange(1000) / 1000
    assert (distances > calibration.farthest(distances, 10)).sum() == 10
