"""Everything but the head is blanked, and nothing of the head is lost."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from tests.workers.pictures import as_png, level, scan
from training import screen
from training.screen import photograph
from workers.ingest import anatomy
from workers.ingest.pipeline import Ingested, Refused, process
from workers.pixels import load

Canvas = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TEXT = ("TEST PATIENT 0042", "ТЕСТОВЫЙ ПАЦИЕНТ 0042", "DOB 01-JAN-1900", "Демо-клиника 1")
COLOURS = ((225, 225, 225), (240, 220, 120), (130, 220, 150), (140, 205, 240))
TOOLBAR_PX = 40

LAYOUTS = [(1, 1, 640), (1, 1, 480), (1, 2, 480), (2, 2, 420)]
"""Rows, columns and pixels of a pane."""

COVERED = 0.98
"""A line of text is gone when this share of its ink is."""


class Shot(NamedTuple):
    """A made-up screenshot, where its heads are and where each line of text outside them is."""

    canvas: Canvas
    head: Mask
    lines: list[Mask]


def pane_of_a_head(side: int, rng: Generator) -> tuple[Canvas, Mask]:
    """A scalp, a skull and a folded brain with ventricles on black; and the head's mask."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    turn = rng.uniform(-0.2, 0.2)
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = np.hypot(u / rng.uniform(0.3, 0.38), v / rng.uniform(0.39, 0.44))
    folds = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), side / 60) * side / 25
    brain = 110 + 30 * np.clip(folds, -1, 1) + 4 * rng.standard_normal((side, side))
    brain[np.hypot((np.abs(u) - 0.05) / 0.03, v / 0.12) < 1] = 25
    pane = np.where(radius < 1, rng.uniform(60, 170), 0)
    pane[radius < 0.94] = 12
    pane = np.where(radius < 0.88, brain, pane)
    return np.clip(cv2.GaussianBlur(pane, (0, 0), 0.8), 0, 255).astype(np.uint8), radius < 1


def screenshot(rng: Generator, rows: int = 1, columns: int = 1, side: int = 480) -> Shot:
    """A dark viewer with a toolbar and, in every pane, one head and four corners of text."""
    canvas = np.zeros((TOOLBAR_PX + rows * side, columns * side, 3), np.uint8)
    canvas[:TOOLBAR_PX] = 70
    head = np.zeros(canvas.shape[:2], bool)
    corners = [(TOOLBAR_PX + r * side, c * side) for r in range(rows) for c in range(columns)]
    for top, left in corners:
        area = np.s_[top : top + side, left : left + side]
        pane, head[area] = pane_of_a_head(side, rng)
        canvas[area] = pane[..., None]
    lines = [ink for corner in corners for ink in written(canvas, *corner, side, rng)]
    return Shot(canvas, head, [ink & ~head for ink in lines])


def written(canvas: Canvas, top: int, left: int, side: int, rng: Generator) -> Iterator[Mask]:
    """Writes a line into every corner of a pane; yields where its ink is."""
    face = cv2.FontFace(str(rng.choice(["sans", "italic", "uni"])))
    size, colour = round(side * rng.uniform(0.022, 0.036)), COLOURS[rng.integers(len(COLOURS))]
    for number, text in enumerate(rng.permutation(TEXT)):
        ink = np.zeros(canvas.shape, np.uint8)
        wide = cv2.getTextSize((2000, 2000), text, (0, 0), face, size, 400)[2]
        x = left + (side - wide - 6 if number % 2 else 6)
        y = top + (side - 8 if number // 2 else size + 6)
        cv2.putText(ink, text, (x, y), colour, face, size, 400)
        where = ink.max(2) > 0
        canvas[where] = ink[where]
        yield where


def as_received(canvas: Canvas) -> Canvas:
    """What remains after a messenger's JPEG."""
    return cv2.imdecode(cv2.imencode(".jpg", canvas, (cv2.IMWRITE_JPEG_QUALITY, 82))[1], 1)


def survivors(lines: list[Mask], kept: Mask) -> list[int]:
    """Numbers of the lines that are still there."""
    return [n for n, ink in enumerate(lines) if (ink & kept).sum() > (1 - COVERED) * ink.sum()]


def regions(mask: Mask) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("rows", "columns", "side"), LAYOUTS)
def test_text_beside_the_head_is_destroyed_and_no_pixel_of_a_head_is_lost(
    rows: int, columns: int, side: int, seed: int
) -> None:
    shot = screenshot(default_rng(seed), rows, columns, side)
    kept = anatomy.find(as_received(shot.canvas)) > 0
    assert survivors(shot.lines, kept) == []
    assert (kept | ~shot.head).all()
    assert regions(kept) == rows * columns


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("rows", "columns", "side"), [(1, 1, 640), (2, 2, 420)])
def test_a_photo_of_the_screen_keeps_every_head_and_loses_the_text(
    rows: int, columns: int, side: int, seed: int
) -> None:
    shot = screenshot(default_rng(seed), rows, columns, side)
    kept = anatomy.find(as_received(photograph(shot.canvas, default_rng(seed)))) > 0
    nothing = photograph(np.zeros_like(shot.canvas), default_rng(seed)).astype(int)

    def photographed(mask: Mask) -> Mask:
        lit = photograph(np.repeat(mask[..., None] * np.uint8(200), 3, 2), default_rng(seed))
        return (lit - nothing).max(2) > 80

    assert survivors([photographed(ink) for ink in shot.lines], kept) == []
    assert (kept | ~photographed(shot.head)).mean() > 0.999
    assert regions(kept) == rows * columns


def test_what_is_blanked_is_zero_and_anatomy_never_is() -> None:
    canvas, _ = screen.screenshot([level(), level()], TEXT, default_rng(1))
    outcome = process(as_png(canvas))
    assert isinstance(outcome, Ingested)
    gray = load(outcome.derivative)
    assert gray.shape == (outcome.height, outcome.width)
    kept = anatomy.find(canvas)
    x, y, w, h = cv2.boundingRect(kept)
    assert ((gray > 0) == (kept[y : y + h, x : x + w] > 0)).all()
    assert outcome.masked_permille == round(1000 * (kept == 0).mean())


@pytest.mark.parametrize("page", [255, 128, 40])
def test_a_viewer_in_any_colour_is_cut_away(page: int) -> None:
    shot = screenshot(default_rng(3))
    window = np.full((800, 1000, 3), page, np.uint8)
    height, width = shot.head.shape
    window[140 : 140 + height, 400 : 400 + width] = shot.canvas
    kept = anatomy.find(window) > 0
    assert (kept[140 : 140 + height, 400 : 400 + width] | ~shot.head).all()
    assert kept.sum() < 1.2 * shot.head.sum()


def test_a_head_that_runs_out_of_the_picture_is_kept_with_a_warning() -> None:
    outcome = process(as_png(np.asarray(scan(600, 600))[120:]))
    assert isinstance(outcome, Ingested)
    assert "cut-off" in outcome.warnings


def document() -> Canvas:
    page = np.full((900, 700), 250, np.uint8)
    for row in range(30):
        cv2.putText(page, "TEST PATIENT 0042 Demo Hospital 1", (30, 40 + 28 * row), 0, 0.7, 20)
    return page


def face() -> Canvas:
    """A pinkish oval with eyes and a mouth in a dark room."""
    canvas = np.full((800, 600, 3), (30, 30, 35), np.uint8)
    cv2.ellipse(canvas, (300, 380), (180, 240), 0, 0, 360, (205, 160, 135), -1)
    for x in (230, 370):
        cv2.circle(canvas, (x, 330), 20, (40, 30, 20), -1)
    cv2.ellipse(canvas, (300, 490), (60, 20), 0, 0, 360, (160, 80, 80), -1)
    noise = default_rng(0).normal(0, 6, canvas.shape)
    return np.clip(canvas + noise, 0, 255).astype(np.uint8)


def electrocardiogram() -> Canvas:
    paper = np.full((600, 900, 3), (255, 240, 240), np.uint8)
    paper[::20], paper[:, ::20] = (250, 190, 190), (250, 190, 190)
    x = np.arange(900)
    beats = (300 - 150 * np.exp(-(((x % 150 - 75) / 5.0) ** 2))).astype(np.int32)
    return cv2.polylines(paper, [np.stack([x, beats], 1).astype(np.int32)], False, (20, 20, 20), 2)


def disc() -> Canvas:
    return cv2.circle(np.zeros((600, 600), np.uint8), (300, 300), 200, 180, -1)


def textured_square() -> Canvas:
    square = np.zeros((600, 600), np.uint8)
    square[150:450, 120:480] = default_rng(0).integers(80, 200, (300, 360))
    return square


NOT_HEADS = {
    "black": np.zeros((500, 500), np.uint8),
    "white": np.full((500, 500), 255, np.uint8),
    "noise": default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8),
    "gradient": np.tile(np.linspace(0, 255, 800), (600, 1)).astype(np.uint8),
    "document": document(),
    "document in dark mode": 255 - document(),
    "face": face(),
    "disc": disc(),
    "textured square": textured_square(),
}


@pytest.mark.parametrize("name", NOT_HEADS)
def test_a_picture_of_something_else_is_quarantined(name: str) -> None:
    assert process(as_png(NOT_HEADS[name])) == Refused("quarantined", "no-head")


def test_an_electrocardiogram_is_quarantined_as_what_it_is() -> None:
    outcome = process(as_png(electrocardiogram()))
    assert outcome == Refused("quarantined", "not-used-yet", modality="ecg")
    assert not anatomy.find(electrocardiogram()).any()
