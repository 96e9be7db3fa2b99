"""What else doctors photograph: strips of ECG and pages of a report."""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.gate.shapes import Picture, colour_of, sheet, softened, words
from training.overlays import camera
from training.overlays.fonts import Part

Colours = tuple[tuple[int, int, int], ...]
PAPERS: Final[dict[Part, Colours]] = {
    "tuning": ((235, 150, 150), (240, 180, 170), (170, 170, 170), (200, 120, 130)),
    "test": ((235, 170, 110), (140, 190, 215), (225, 130, 175)),
}
"""The grid's colour."""

LEADS: Final[dict[Part, tuple[tuple[int, int], ...]]] = {
    "tuning": ((3, 4), (4, 4), (1, 1), (3, 1)),
    "test": ((6, 2), (12, 1), (2, 1)),
}
"""Rows and columns of traces."""

WAVES: Final = (
    (-0.012, 0.004, 0.15),
    (-0.002, 0.001, -0.2),
    (0.0, 0.0012, 1.2),
    (0.002, 0.001, -0.3),
    (0.022, 0.007, 0.3),
)
"""P, Q, R, S and T: when and how long, as shares of the strip's width, and how tall."""

MONITOR_SHARE: Final = 0.2
PHOTO_SHARE: Final = 0.6
MM_PER_WIDTH: Final = (120, 290)


def ecg(long_px: int, part: Part, rng: Generator) -> Picture:
    """Traces on millimetre paper or a dark monitor."""
    height = int(long_px * rng.uniform(0.45, 0.85))
    dark = rng.random() < MONITOR_SHARE
    canvas = sheet(long_px, 8 if dark else rng.uniform(235, 255), rng, 6)[:height]
    grid = (40, 40, 45) if dark else PAPERS[part][rng.integers(len(PAPERS[part]))]
    millimetres(canvas, long_px / rng.uniform(*MM_PER_WIDTH), grid)
    ink = colour_of(rng, 150, 255) if dark else (int(rng.integers(10, 60)),) * 3
    rows, columns = LEADS[part][rng.integers(len(LEADS[part]))]
    high, wide = int(0.88 * height) // rows, long_px // columns
    for number in range(rows * columns):
        top, left = int(0.08 * height) + number // columns * high, number % columns * wide
        trace(canvas, (left, top, wide, high), ink, rng)
    if rng.random() < 0.7:
        words(canvas, (8, 4, long_px // 2, int(0.08 * height)), max(4, long_px // 60), ink[0], rng)
    return as_taken(canvas, rng)


def millimetres(canvas: Picture, millimetre_px: float, colour: tuple[int, int, int]) -> None:
    """A fine grid with every fifth line heavier."""
    height, width = canvas.shape[:2]
    faint = [(each + int(paper)) // 2 for each, paper in zip(colour, canvas[0, 0], strict=True)]
    for axis, length in ((0, height), (1, width)):
        for line, at in enumerate(np.arange(0, length, millimetre_px).astype(int)):
            if millimetre_px >= 2 or line % 5 == 0:
                place = canvas[at : at + 1] if axis == 0 else canvas[:, at : at + 1]
                place[:] = faint if line % 5 else colour


def trace(
    canvas: Picture, box: tuple[int, int, int, int], ink: tuple[int, int, int], rng: Generator
) -> None:
    """One lead: beats with P, QRS and T, regular or not, over a wandering line."""
    x, y, wide, high = box
    at = np.arange(wide) / canvas.shape[1]
    beats = np.cumsum(rng.normal(rng.uniform(0.05, 0.12), rng.choice([0.001, 0.02]), 60).clip(0.03))
    heart = sum(beat(at - each, rng.uniform(0.5, 1.2)) for each in beats - 0.05)
    wander = 0.1 * np.sin(at * rng.uniform(2, 20)) + rng.normal(0, 0.01, wide)
    level = y + high * (0.6 - 0.4 * heart * rng.choice([1, 1, 1, -0.6]) + wander)
    points = np.stack([x + np.arange(wide), level], 1).round().astype(np.int32)
    cv2.polylines(canvas, [points], False, ink, max(1, canvas.shape[1] // 500), cv2.LINE_AA)


def beat(at: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """One beat around 0, as a share of the strip's width."""
    return np.asarray(
        sum(size * tall * np.exp(-(((at - when) / long) ** 2)) for when, long, tall in WAVES)
    )


def report(long_px: int, part: Part, rng: Generator) -> Picture:
    """A page of text with a heading, a table or a stamp; test pages have two columns or a form's boxes."""
    width = int(long_px * rng.uniform(0.6, 0.8))
    canvas = sheet(long_px, rng.uniform(225, 255), rng, 6)[:, :width]
    size, ink = max(3, long_px // int(rng.integers(45, 90))), int(rng.integers(10, 90))
    margin = int(width * rng.uniform(0.05, 0.12))
    words(canvas, (width // 4, margin, width // 2, 2 * size + 2), int(1.5 * size), ink, rng)
    columns = 2 if part == "test" and rng.random() < 0.5 else 1
    wide = (width - 2 * margin) // columns
    for column in range(columns):
        paragraphs(
            canvas, (margin + column * wide, 2 * margin + 2 * size, wide - size), size, ink, rng
        )
    if part == "test" and columns == 1:
        form(canvas, margin, rng)
    elif rng.random() < 0.4:
        stamp = (int(rng.uniform(0.5, 0.8) * width), int(rng.uniform(0.7, 0.9) * long_px))
        cv2.circle(canvas, stamp, long_px // 12, (60, 80, 190), max(1, long_px // 200), cv2.LINE_AA)
    return as_taken(canvas, rng)


def paragraphs(
    canvas: Picture, place: tuple[int, int, int], size: int, ink: int, rng: Generator
) -> None:
    """Blocks of lines down the page from (x, y, width)."""
    x, y, wide = place
    end = int(len(canvas) * rng.uniform(0.6, 0.97))
    while y < end - 3 * size:
        high = int(rng.integers(3, 12)) * size * 2
        words(canvas, (x, y, wide, min(high, end - y)), size, ink, rng)
        y += high + 2 * size


def form(canvas: Picture, margin: int, rng: Generator) -> None:
    """A form's boxes."""
    height, width = canvas.shape[:2]
    for y in range(margin, height - margin, max(8, height // int(rng.integers(8, 18)))):
        cv2.line(canvas, (margin, y), (width - margin, y), (90, 90, 90), 1)
    for x in (margin, width // 2, width - margin):
        cv2.line(canvas, (x, margin), (x, height - margin), (90, 90, 90), 1)


def as_taken(canvas: Picture, rng: Generator) -> Picture:
    """As scanned or on a screen, or photographed as it lies on a table."""
    if rng.random() > PHOTO_SHARE:
        return softened(canvas, rng, 0.8)
    edge = int(rng.uniform(0, 0.12) * max(canvas.shape))
    table = colour_of(rng, 20, 200)
    framed = cv2.copyMakeBorder(canvas, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=table)
    return camera.photographed(np.asarray(framed, np.uint8), [], rng)[0]
