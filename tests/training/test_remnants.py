"""Training crops of what ingest leaves hold the ink that is left, and none where a line was blanked."""

from itertools import islice

import numpy as np
from numpy.random import default_rng

from training.overlays import remnants, writing
from training.overlays.crops import SIDE_PX, Faint, Sample, reshaped
from training.overlays.remnants import Remnants, blanked, overlooked
from training.overlays.viewers import LAYOUTS


def some(seed: int, count: int = 10) -> list[Sample]:
    return list(islice(Remnants(seed, Faint(0.5, (4, 40), 0.5)), count))


def test_they_repeat_with_their_seed() -> None:
    for one, other in zip(some(3), some(3), strict=True):
        assert (one[0] == other[0]).all()
        assert (one[1] == other[1]).all()


def test_they_are_of_one_size_and_some_hold_ink() -> None:
    samples = some(4)
    assert {rgb.shape for rgb, _ in samples} == {(SIDE_PX, SIDE_PX, 3)}
    assert {ink.shape for _, ink in samples} == {(SIDE_PX, SIDE_PX)}
    assert any(ink.any() for _, ink in samples)


def test_what_is_blanked_is_black_and_no_ink() -> None:
    rgb, ink = np.full((20, 40, 3), 90, np.uint8), np.ones((20, 40), np.uint8)
    found = np.zeros((20, 40), np.uint8)
    found[:, :25] = 1
    left, truth = blanked(rgb, ink, found)
    assert not left[:, :25].any()
    assert (left[:, 25:] == 90).all()
    assert (truth == 1 - found).all()


def test_what_is_overlooked_is_overlooked_whole() -> None:
    found = np.zeros((60, 60), np.uint8)
    for row in range(5, 60, 10):
        found[row : row + 4, 10:50] = 1
    kept = overlooked(found, default_rng(2))
    rows = {int(kept[row : row + 4].sum()) for row in range(5, 60, 10)}
    assert rows == {0, 160}


def test_a_reshaped_line_says_the_same_in_other_letters() -> None:
    line = writing.ink("tuning", default_rng(1))
    shapes = {reshaped(line, default_rng(seed)).coverage.shape[1] for seed in range(20)}
    assert len(shapes) > 10
    assert reshaped(line, default_rng(1)).text == line.text


def test_a_made_up_viewer_is_none_that_is_scored() -> None:
    made = {remnants.layout(default_rng(seed)) for seed in range(200)}
    assert not made & set(LAYOUTS["test"].values())
