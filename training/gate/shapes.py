"""Strokes that drawn strangers are made of."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""Height x width x 3."""
Point = tuple[int, int]


def sheet(side_px: int, grey: float, rng: Generator, tint: float = 0.0) -> Picture:
    """A square of one colour near a grey."""
    colour = grey + rng.uniform(-tint, tint, 3)
    return np.full((side_px, side_px, 3), colour.clip(0, 255), np.uint8)


def cloud(side_px: int, fine: float, rng: Generator) -> NDArray[np.float32]:
    """Smooth noise in 0..1 with about `fine` bumps across; more detail on top of coarse."""
    total = np.zeros((side_px, side_px), np.float32)
    for octave in range(4):
        cells = max(2, round(fine * 2**octave))
        bumps = rng.standard_normal((cells, cells)).astype(np.float32) / 1.8**octave
        total += cv2.resize(bumps, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    low, high = np.percentile(total, (1, 99))
    return np.asarray(((total - low) / (high - low)).clip(0, 1), np.float32)


def tinted(grey: NDArray[np.floating], rng: Generator, tint: float = 40.0) -> Picture:
    """Grey 0..255 as a picture, coloured a little or not at all."""
    colour = rng.uniform(-tint, tint, 3) * (rng.random() < 0.5)
    return np.asarray((np.asarray(grey)[..., None] + colour).clip(0, 255), np.uint8)


def somewhere(side_px: int, rng: Generator, margin: float = 0.2) -> Point:
    """A point away from the border."""
    x, y = rng.uniform(margin, 1 - margin, 2) * side_px
    return int(x), int(y)


def colour_of(rng: Generator, low: int = 20, high: int = 240) -> tuple[int, int, int]:
    """Any colour between two brightnesses."""
    red, green, blue = (int(each) for each in rng.integers(low, high, 3))
    return red, green, blue


def disc(
    canvas: Picture,
    centre: Point,
    axes: Sequence[float] | NDArray[np.float64],
    colour: tuple[int, int, int],
    turn: float = 0.0,
    thickness: int = cv2.FILLED,
) -> None:
    """An ellipse; half axes in pixels, turn in degrees."""
    size = (max(1, round(axes[0])), max(1, round(axes[1])))
    cv2.ellipse(canvas, centre, size, turn, 0, 360, colour, thickness, cv2.LINE_AA)


def words(
    canvas: Picture, box: tuple[int, int, int, int], size_px: int, ink: int, rng: Generator
) -> None:
    """Lines of made-up words that fill a box (x, y, width, height), as print looks from afar."""
    x, y, width, height = box
    for top in range(y, y + height - size_px, round(1.8 * size_px)):
        end = x + int(width * rng.uniform(0.5, 1.0))
        left = x
        while left < end - size_px:
            long = int(size_px * rng.uniform(0.8, 4.5))
            letters(canvas[top : top + size_px, left : min(left + long, end)], ink, rng)
            left += long + max(2, size_px // 2)


def letters(place: Picture, ink: int, rng: Generator) -> None:
    """Random strokes about half of which are ink."""
    height, width = place.shape[:2]
    if not place.size:
        return
    cells = rng.random((3, max(1, 2 * width // max(1, height)))) < 0.6
    stroke = cv2.resize(cells.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    place[stroke > 0] = ink


def softened(canvas: Picture, rng: Generator, most: float = 1.5) -> Picture:
    """Slightly out of focus, with grain."""
    soft = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.3, most)).astype(np.float32)
    grain = rng.standard_normal(canvas.shape[:2]).astype(np.float32) * rng.uniform(0, 8)
    return np.asarray((soft + grain[..., None]).clip(0, 255), np.uint8)


def lit(canvas: Picture, rng: Generator) -> Picture:
    """As a room's light falls on it."""
    side = canvas.shape[0]
    ramp = np.linspace(rng.uniform(0.6, 1.1), rng.uniform(0.6, 1.1), side, dtype=np.float32)
    light = ramp[:, None] if rng.random() < 0.5 else ramp[None, :]
    return np.asarray((canvas * light[..., None]).clip(0, 255), np.uint8)
