"""Figures against numbers worked by hand, and against a library."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torchmetrics.functional.classification import binary_auroc, binary_roc

from training.testing.measures import (
    auroc,
    brier,
    calibration_line,
    ece,
    mcnemar,
    ranks,
    roc,
    sensitivity_at,
)
from training.testing.resampling import draws, interval

POSITIVE = np.array([True, True, False, True, False, False])
SCORE = np.array([0.9, 0.8, 0.7, 0.6, 0.55, 0.1])


def test_auroc_counts_the_pairs_that_are_in_order() -> None:
    assert auroc(POSITIVE, SCORE) == pytest.approx(8 / 9)
    assert auroc(POSITIVE, np.full(6, 0.5)) == 0.5
    assert auroc(POSITIVE, -SCORE) == pytest.approx(1 / 9)
    assert np.isnan(auroc(np.ones(3, bool), np.arange(3.0)))


def test_equal_scores_share_their_rank() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=4, max_size=60).filter(
    lambda cases: 0 < sum(positive for positive, _ in cases) < len(cases)
)


@given(CASES)
@settings(max_examples=60, deadline=None)
def test_auroc_and_roc_are_those_of_torchmetrics(cases: list[tuple[bool, int]]) -> None:
    positive = np.array([each for each, _ in cases])
    score = np.array([each / 20 for _, each in cases])
    scores, target = torch.from_numpy(score), torch.from_numpy(positive).int()
    assert auroc(positive, score) == pytest.approx(float(binary_auroc(scores, target)), abs=1e-6)
    false, sensitivity, _ = roc(positive, score)
    theirs = binary_roc(scores, target)
    assert false == pytest.approx(theirs[0].numpy(), abs=1e-6)
    assert sensitivity == pytest.approx(theirs[1].numpy(), abs=1e-6)


def test_sensitivity_is_the_best_that_leaves_the_specificity() -> None:
    assert sensitivity_at(POSITIVE, SCORE, 1.0) == pytest.approx(2 / 3)
    assert sensitivity_at(POSITIVE, SCORE, 0.6) == 1.0


def test_calibration_is_nothing_when_what_is_said_is_so() -> None:
    rng = np.random.default_rng(0)
    said = rng.uniform(0.15, 0.85, 40_000)
    so = rng.random(40_000) < said
    slope, intercept = calibration_line(so, said)
    assert ece(so, said) < 0.01
    assert (slope, intercept) == (pytest.approx(1, abs=0.03), pytest.approx(0, abs=0.03))
    bold = 1 / (1 + np.exp(-3 * np.log(said / (1 - said))))
    assert ece(so, bold) > 0.1
    assert calibration_line(so, bold)[0] == pytest.approx(1 / 3, abs=0.05)


def test_brier_is_the_mean_squared_distance() -> None:
    assert brier(np.array([True, False]), np.array([0.8, 0.4])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("only_one", "only_other", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (8, 1, 0.0390625), (10, 0, 0.001953125)],
)
def test_mcnemar_is_the_two_sided_binomial(only_one: int, only_other: int, p: float) -> None:
    one = np.array([True] * only_one + [False] * only_other + [True] * 5)
    other = np.array([False] * only_one + [True] * only_other + [True] * 5)
    assert mcnemar(one, other) == pytest.approx(p)


def test_cases_of_one_patient_are_drawn_together_and_always_alike() -> None:
    patients = ["a", "a", "b", "c", "c", "c"]
    found = draws(patients, 50)
    for draw in found:
        counts = np.bincount(draw, minlength=6)
        assert counts[0] == counts[1]
        assert counts[3] == counts[4] == counts[5]
    assert all(np.array_equal(a, b) for a, b in zip(found, draws(patients, 50), strict=True))


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(3).normal(0, 1, 400)
    found = interval(lambda at: float(values[at].mean()), 400, draws([str(n) for n in range(400)]))
    reach = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - reach, abs=0.02)
    assert found.high == pytest.approx(values.mean() + reach, abs=0.02)
