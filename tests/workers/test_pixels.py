"""A model sees the same tile of the same head, in training and in use."""

import cv2
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from training.synth import case
from workers.ingest.pipeline import Ingested, process
from workers.pixels import SIDE, heads, load, reading_order, tile, tiles

Gray = NDArray[np.uint8]


def png(gray: Gray) -> bytes:
    return cv2.imencode(".png", gray)[1].tobytes()


def head(width: int = 200, height: int = 240, level: int = 100) -> Gray:
    """An oval brain with folds and two dark ventricles on black."""
    y, x = np.mgrid[:height, :width]
    u, v = 2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1
    brain = level + 30 * np.sin(9 * u) * np.cos(8 * v)
    brain[np.hypot((np.abs(u) - 0.2) / 0.1, v / 0.3) < 1] = 15
    return np.where(np.hypot(u, v) < 1, brain, 0).astype(np.uint8)


def montage(rows: int, columns: int) -> Gray:
    return np.tile(np.pad(head(), 10), (rows, columns))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 2), (3, 4)])
def test_every_pane_gives_one_tile(rows: int, columns: int) -> None:
    seen = tiles(png(montage(rows, columns)))
    assert seen.shape == (rows * columns, 1, SIDE, SIDE)
    assert seen.dtype == np.float32
    assert seen.min() >= 0
    assert 0.9 < seen.max() < 1 + 1e-6


def test_tiles_come_in_reading_order() -> None:
    boxes = heads(montage(2, 3))
    assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))
    uneven = [(300, 10, 90, 90), (0, 0, 100, 120), (310, 140, 80, 80), (5, 130, 100, 100)]
    assert reading_order(uneven) == [uneven[1], uneven[0], uneven[3], uneven[2]]


@given(st.permutations([(x * 110, y * 110 + x * 9, 100, 100) for x in range(3) for y in range(3)]))
def test_reading_order_does_not_depend_on_the_order_of_finding(
    boxes: list[tuple[int, int, int, int]],
) -> None:
    assert reading_order(boxes) == reading_order(sorted(boxes))


def test_nothing_but_black_gives_no_tile() -> None:
    assert tiles(png(np.zeros((50, 60), np.uint8))).shape == (0, 1, SIDE, SIDE)


def test_a_tile_keeps_the_aspect_and_is_centred() -> None:
    columns = np.flatnonzero(tile(head(100, 200)).any(0))
    assert len(columns) == pytest.approx(SIDE / 2, abs=2)
    assert columns[0] + columns[-1] == pytest.approx(SIDE - 1, abs=2)


def test_brightness_contrast_and_size_of_the_screen_do_not_matter() -> None:
    plain = tile(head())
    dim = tile((head() * 0.6).astype(np.uint8))
    large = tile(cv2.resize(head(), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR))
    assert np.abs(plain - dim).mean() < 0.01
    assert np.abs(plain - large).mean() < 0.03


def test_a_faint_scalp_does_not_change_the_size_of_the_brain() -> None:
    brain = np.pad(head(), 40)
    scalp = cv2.ellipse(np.zeros_like(brain), (140, 160), (130, 150), 0, 0, 360, 1, -1)
    cv2.ellipse(scalp, (140, 160), (130, 150), 0, 0, 360, 14, 6)
    assert np.abs(tile(np.maximum(brain, scalp)) - tile(head())).mean() < 0.03


def test_tiles_are_the_heads_that_ingest_recorded() -> None:
    for seed in range(700, 705):
        for image in case(seed).images:
            outcome = process(image.data)
            assert isinstance(outcome, Ingested)
            assert tuple(heads(load(outcome.derivative))) == outcome.head
            assert len(tiles(outcome.derivative)) == len(outcome.head)


def test_the_same_derivative_gives_the_same_tiles_on_any_number_of_threads() -> None:
    derivative, before = png(montage(2, 2)), cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = tiles(derivative)
        cv2.setNumThreads(2)
        assert tiles(derivative).tobytes() == alone.tobytes()
    finally:
        cv2.setNumThreads(before)


def test_only_a_derivative_is_loaded() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        load(b"\xff\xd8\xff\xe0 not ours")
