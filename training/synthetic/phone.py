"""A phone photo of a screen, and what the messenger makes of a file; the truth is bent along."""

from typing import Final, Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from training.phantom import Plane
from training.screen import PHOTO_SIDE_MAX, Canvas, camera_exif, jpeg
from training.synthetic.head import plane
from training.synthetic.viewer import Screen, TextBox, boxes_of

Kind = Literal["photo", "document"]

CORNER_SHARE: Final = 0.08
TILT_DEGREES_SD: Final = 2.5
GLARES, REFLECTIONS, SHAKEN = 0.6, 0.3, 0.15
LOCATED_SHARE: Final = 0.2
"""Of photos sent as documents: those whose EXIF says where they were taken."""

QUICK_PNG: Final = (
    cv2.IMWRITE_PNG_COMPRESSION,
    1,
    cv2.IMWRITE_PNG_FILTER,
    cv2.IMWRITE_PNG_FILTER_UP,
)
SURROUNDINGS: Final = ("desk", "keyboard", "monitor", "hand")


def photographed(shown: Screen, rng: Generator) -> Screen:
    """The screen in its surroundings, seen at an angle, in a room's light."""
    high, wide = shown.canvas.shape[:2]
    margin = int(rng.integers(30, 100))
    size = (wide + 2 * margin, high + 2 * margin)
    matrix = _pose(wide, high, margin, rng)
    seen = _surroundings(size, margin, rng)
    cv2.warpPerspective(
        cv2.copyMakeBorder(shown.canvas, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=(22, 22, 24)),
        matrix @ np.array([[1, 0, -12], [0, 1, -12], [0, 0, 1]]),
        size,
        dst=seen,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    truth = cv2.warpPerspective(shown.truth, matrix, size, flags=cv2.INTER_NEAREST)
    return Screen(
        _lit(_focused(seen, rng), rng), truth.astype(np.uint8), _bent(shown.texts, matrix, size)
    )


def shrunk(shown: Screen) -> Screen:
    """As the messenger lets a photo pass: its longest side is at most `PHOTO_SIDE_MAX`."""
    scale = PHOTO_SIDE_MAX / max(shown.canvas.shape)
    if scale >= 1:
        return shown
    small = cv2.resize(shown.canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (small.shape[1], small.shape[0])
    truth = cv2.resize(shown.truth, size, interpolation=cv2.INTER_NEAREST)
    matrix = np.diag([scale, scale, 1])
    return Screen(small.astype(np.uint8), truth.astype(np.uint8), _bent(shown.texts, matrix, size))


def file_of(canvas: Canvas, kind: Kind, by_camera: bool, located: bool, rng: Generator) -> bytes:
    """A photo as the messenger compresses it, a document as the device stored it."""
    if kind == "photo":
        return jpeg(canvas, int(rng.integers(80, 88)), Image.Exif())
    if by_camera:
        return jpeg(canvas, 92, camera_exif() if located else Image.Exif())
    bgr = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, QUICK_PNG)[1].tobytes()


def _pose(wide: int, high: int, margin: int, rng: Generator) -> NDArray[np.float64]:
    """Screen to photo: corners moved, then tilted about the middle."""
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    moved = corners + margin + rng.uniform(-1, 1, (4, 2)) * CORNER_SHARE / 2 * (wide, high)
    lens = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    middle = (wide / 2 + margin, high / 2 + margin)
    tilt = cv2.getRotationMatrix2D(middle, TILT_DEGREES_SD * rng.standard_normal(), 1.0)
    return np.asarray(np.vstack([tilt, [0, 0, 1]]) @ lens)


def _bent(
    texts: tuple[TextBox, ...], matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[TextBox, ...]:
    """Boxes around the moved lines, those that left the picture excepted."""
    if not texts:
        return ()
    corners = cv2.perspectiveTransform(boxes_of(texts), matrix)
    low = np.floor(corners.min(1)).clip(0, size).astype(int)
    high = np.ceil(corners.max(1)).clip(0, size).astype(int)
    return tuple(
        TextBox(text=t.text, is_pii=t.is_pii, box=(int(x), int(y), int(right - x), int(end - y)))
        for t, (x, y), (right, end) in zip(texts, low, high, strict=True)
        if right > x and end > y
    )


def _surroundings(size: tuple[int, int], margin: int, rng: Generator) -> Canvas:
    """What stands around a screen: a desk, and on it a keyboard, a second screen or a hand."""
    wide, high = size
    scene = np.full((high, wide, 3), rng.integers(25, 95), np.uint8)
    what = str(rng.choice(SURROUNDINGS))
    if what == "keyboard":
        for x in range(0, wide, 46):
            cv2.rectangle(scene, (x + 3, high - 34), (x + 40, high - 4), (150, 150, 150), -1)
    elif what == "monitor":
        cv2.rectangle(scene, (wide - margin // 2, 0), (wide, high), (190, 200, 215), -1)
    elif what == "hand":
        cv2.ellipse(scene, (0, high), (margin, 3 * margin), 20, 0, 360, (190, 140, 115), -1)
    return scene


def _focused(seen: Canvas, rng: Generator) -> Canvas:
    """Out of focus by 0.3 to 1.6 pixels; sometimes shaken."""
    soft = cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.3, 1.6))
    shaken, length = rng.random() < SHAKEN, int(rng.integers(3, 7))
    if shaken:
        soft = cv2.blur(soft, (length, 1) if rng.random() < 0.5 else (1, length))
    return np.asarray(soft, np.uint8)


def _lit(seen: Canvas, rng: Generator) -> Canvas:
    """Gamma, tint, moiré, vignette, glare, a window's reflection, the sensor's noise."""
    high, wide = seen.shape[:2]
    curve = np.linspace(0, 1, 256) ** rng.uniform(0.7, 1.25)
    tint = rng.uniform(0.94, 1.06, 3)
    gain = _moire(high, wide, rng) * _vignette(high, wide, rng) * np.float32(255)
    added = _room(high, wide, rng) * np.float32(255)
    added += _grain(high, wide, rng)
    lit = [
        cv2.add(
            cv2.multiply(cv2.LUT(seen[..., c], plane(curve * tint[c])), gain),
            added,
            dtype=cv2.CV_8U,
        )
        for c in range(3)
    ]
    return np.asarray(cv2.merge(lit), np.uint8)


def _grain(high: int, wide: int, rng: Generator) -> Plane:
    """The sensor's noise, two pixels coarse, since colours are interpolated."""
    noise = rng.standard_normal((high // 2, wide // 2), np.float32)
    return plane(cv2.resize(noise, (wide, high)) * np.float32(rng.uniform(1.5, 6)))


def _moire(high: int, wide: int, rng: Generator) -> Plane:
    """Two near-equal gratings multiplied, slightly curved: up to a tenth of the light.

    sin(a + b) is taken apart, so that only sums of products of rows and columns are needed.
    """
    amplitude, frequency = rng.uniform(0, 0.1), rng.uniform(0.25, 0.9)
    x, y = np.arange(wide), np.arange(high)
    bend = 2e-5 * rng.standard_normal()
    first = _waves(frequency * x + bend * x**2, 0.02 * y)
    second = _waves(0.03 * x, frequency * 1.03 * y + bend * y**2)
    first *= second
    first *= np.float32(amplitude)
    first += 1
    return first


def _waves(along: ArrayLike, down: ArrayLike) -> Plane:
    """sin(along + down) of every pixel."""
    rows = np.stack([np.cos(down), np.sin(down)], 1).astype(np.float32)
    columns = np.stack([np.sin(along), np.cos(along)]).astype(np.float32)
    waves = rows[:, :1] * columns[:1]
    waves += rows[:, 1:] * columns[1:]
    return plane(waves)


def _vignette(high: int, wide: int, rng: Generator) -> Plane:
    x, y = np.linspace(-1, 1, wide, dtype=np.float32), np.linspace(-1, 1, high, dtype=np.float32)
    strength = np.float32(rng.uniform(0, 0.18))
    return np.asarray(np.outer(1 - strength * y**2, 1 - strength * x**2), np.float32)


def _room(high: int, wide: int, rng: Generator) -> Plane:
    """Light that the screen reflects: a lamp's spot, the pane of a window."""
    x, y = np.arange(wide), np.arange(high)
    cx, cy, spread = rng.uniform(0, wide), rng.uniform(0, high), rng.uniform(0.05, 0.2) * wide
    lamp, window = rng.uniform(0.1, 0.45), rng.uniform(0.02, 0.06)
    glare, reflection = rng.random() < GLARES, rng.random() < REFLECTIONS
    spot = np.outer(_bell(y, cy, spread), _bell(x, cx, spread)) * np.float32(lamp * glare)
    pane = np.outer(_edge(y, cy), _edge(x, cx)) * np.float32(window * reflection)
    return np.asarray(spot + pane + np.float32(0.015), np.float32)


def _bell(at: NDArray[np.int64], middle: float, spread: float) -> Plane:
    return plane(np.exp(-((at - middle) ** 2) / (2 * spread**2)))


def _edge(at: NDArray[np.int64], begin: float) -> Plane:
    return plane(1 / (1 + np.exp(-(at - begin) / 12).clip(1e-9, 1e9)))
