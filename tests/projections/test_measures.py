"""Measures of being right, beside numbers worked by hand and a library's."""

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torchmetrics.functional import classification

from domain.stroke import PREDICTED
from projections.measures import Share, accuracy, agreement, wilson

CE, LAA, SVO = "cardioembolic", "large-artery", "small-vessel"
COUNTS = st.lists(st.integers(0, 40), min_size=4, max_size=4)


def share(count: int, of: int) -> Share:
    return wilson(count, of)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),
    ],
)
def test_intervals_are_those_of_the_literature(
    count: int, of: int, low: float, high: float
) -> None:
    """The last row is in R. G. Newcombe, Statistics in Medicine 17 (1998), table I."""
    found = wilson(count, of)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_is_claimed_of_nothing() -> None:
    nothing = Share(0, 0, 0.0, 1.0)
    assert wilson(0, 0) == nothing
    assert agreement({}).kappa is None
    for one in accuracy({}):
        assert one.sensitivity == one.specificity == one.precision == one.recall == nothing


def test_sensitivity_and_its_sisters_are_worked_by_hand() -> None:
    """8 right and 2 missed of cardioembolic, 6 right and 3 missed of large-artery; of the small
    vessels, which a model cannot say, 1 was called the one and 4 the other."""
    pairs = {(CE, CE): 8, (LAA, CE): 2, (LAA, LAA): 6, (CE, LAA): 3, (CE, SVO): 1, (LAA, SVO): 4}
    ce, laa = accuracy(pairs)
    assert (ce.cause, laa.cause) == PREDICTED == (CE, LAA)
    assert (ce.sensitivity, ce.recall) == (share(8, 10), share(8, 10))
    assert (ce.specificity, ce.precision) == (share(10, 14), share(8, 12))
    assert (laa.sensitivity, laa.recall) == (share(6, 9), share(6, 9))
    assert (laa.specificity, laa.precision) == (share(9, 15), share(6, 12))


def test_kappa_is_worked_by_hand() -> None:
    """Of 50, equal 35 (p_o 0.7); 25 and 30 times yes, so p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5."""
    pairs = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    found = agreement(pairs)
    assert found.kappa == pytest.approx(0.4)
    assert found.observed == share(35, 50)


def test_kappa_ends_at_one_and_goes_below_zero() -> None:
    assert agreement({("a", "a"): 3, ("b", "b"): 4}).kappa == 1
    assert agreement({("a", "b"): 5, ("b", "a"): 5}).kappa == -1
    assert agreement({("a", "b"): 5}).kappa == 0


def test_readers_who_know_one_word_only_have_no_kappa() -> None:
    found = agreement({("a", "a"): 12})
    assert (found.kappa, found.observed) == (None, share(12, 12))


@settings(deadline=None, max_examples=30)
@given(COUNTS)
def test_a_library_counts_the_same(counts: list[int]) -> None:
    words = [(CE, CE), (CE, LAA), (LAA, CE), (LAA, LAA)]
    pairs = dict(zip(words, counts, strict=True))
    said = torch.tensor([int(one == CE) for (one, _), n in pairs.items() for _ in range(n)])
    label = torch.tensor([int(other == CE) for (_, other), n in pairs.items() for _ in range(n)])
    found, (ce, _) = agreement(pairs), accuracy(pairs)
    if found.kappa is not None:
        assert found.kappa == pytest.approx(
            float(classification.binary_cohen_kappa(said, label)), abs=1e-5
        )
    for name, mine in (
        ("recall", ce.recall),
        ("specificity", ce.specificity),
        ("precision", ce.precision),
    ):
        theirs = getattr(classification, f"binary_{name}")
        if mine.of:
            assert mine.count / mine.of == pytest.approx(float(theirs(said, label)), abs=1e-5)
