"""The simulator tells the truth about its ink, and keeps what trains apart from what is scored."""

import numpy as np
import pytest
from numpy.random import default_rng

from training.overlays import camera, writing
from training.overlays.crops import SIDE_PX, Crops
from training.overlays.fonts import FAMILIES, NotInstalled, path_of
from training.overlays.viewers import LAYOUTS, Shot, screen


def shot(seed: int, layout: str = "quarters") -> Shot:
    return screen("test", LAYOUTS["test"][layout], default_rng(seed))


def test_fonts_and_layouts_that_are_scored_were_never_trained_on() -> None:
    assert not set(FAMILIES["tuning"]) & set(FAMILIES["test"])
    assert not set(LAYOUTS["tuning"].values()) & set(LAYOUTS["test"].values())
    assert len(LAYOUTS["test"]) == 6


@pytest.mark.parametrize("part", FAMILIES)
def test_every_face_is_there(part: writing.Part) -> None:
    assert all(path_of(*face).is_file() for face in FAMILIES[part])


def test_a_missing_package_of_fonts_is_named() -> None:
    with pytest.raises(NotInstalled, match="no_such_fonts"):
        path_of("no_such_fonts", "A.ttf")


def test_the_same_seed_draws_the_same_screen() -> None:
    one, other = shot(3), shot(3)
    assert (one.canvas == other.canvas).all()
    assert one.lines == other.lines


@pytest.mark.parametrize("layout", LAYOUTS["test"])
def test_every_line_has_ink_and_lies_where_it_says(layout: str) -> None:
    drawn = shot(4, layout)
    for number, line in enumerate(drawn.lines, 1):
        where = drawn.ink == number
        assert where.sum() >= 20
        assert (drawn.heads[where].mean() > 0.5) == line.on_head
        assert writing.SIZE_PX_MIN <= line.size_px <= writing.SIZE_PX_MAX


def test_the_truth_moves_with_the_picture() -> None:
    canvas = np.zeros((300, 400, 3), np.uint8)
    truth = np.zeros((300, 400), np.uint16)
    canvas[120:160, 150:250] = 250
    truth[120:160, 150:250] = 1
    photo, (seen,) = camera.photographed(canvas, [truth], default_rng(1))
    assert photo.shape[:2] == seen.shape
    assert photo[seen == 1].mean() > 150
    assert np.median(photo[seen == 0]) < 80


def test_crops_repeat_with_their_seed_and_hold_ink() -> None:
    first, again = ([sample for sample, _ in zip(Crops(5), range(12), strict=False)] for _ in "ab")
    assert all(
        (a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True)
    )
    assert {rgb.shape for rgb, _ in first} == {(SIDE_PX, SIDE_PX, 3)}
    assert any(ink.any() for _, ink in first)
