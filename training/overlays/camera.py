"""Ways a viewer's screen reaches us, with the truth carried along: file, messenger, phone camera."""

from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Canvas = NDArray[np.uint8]
Truth = NDArray[np.uint16]
Kind = Literal["screenshot", "telegram", "phone"]
KINDS: tuple[Kind, ...] = ("screenshot", "telegram", "phone")

MESSENGER_SIDE_PX_MAX = 1280


def as_sent(
    kind: Kind, canvas: Canvas, truths: list[Truth], rng: Generator
) -> tuple[Canvas, list[Truth]]:
    """Pixels before the file is written, and every map of truth bent the same way."""
    if kind == "phone":
        canvas, truths = photographed(canvas, truths, rng)
    return shrunk(canvas, truths) if kind != "screenshot" else (canvas, truths)


def file_of(kind: Kind, canvas: Canvas, rng: Generator) -> bytes:
    """PNG of a screenshot, JPEG of all else."""
    out = BytesIO()
    quality = int(rng.integers(70, 89)) if kind == "phone" else int(rng.integers(80, 88))
    options = {"compress_level": 1} if kind == "screenshot" else {"quality": quality}
    Image.fromarray(canvas).save(out, "PNG" if kind == "screenshot" else "JPEG", **options)
    return out.getvalue()


def received(data: bytes) -> Canvas:
    """RGB pixels of a file of ours."""
    with Image.open(BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


def photographed(canvas: Canvas, truths: list[Truth], rng: Generator) -> tuple[Canvas, list[Truth]]:
    """A phone photo of the screen: bezel, perspective, moiré, glare, gamma, blur, noise."""
    matrix, (width, height) = _pose(canvas, rng)
    seen = cv2.warpPerspective(
        canvas, matrix, (width, height), flags=cv2.INTER_AREA, borderValue=(27, 27, 27)
    )
    light = (seen / np.float32(255)) ** np.float32(rng.uniform(0.85, 1.15))
    light *= moire(height, width, rng)[..., None]
    if rng.random() < 0.5:
        light += glare(height, width, rng)[..., None]
    blurred = cv2.GaussianBlur(light * 0.97 + 0.015, (0, 0), rng.uniform(0.3, 0.9))
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(0.01)
    photo = ((blurred + grain).clip(0, 1) * 255).astype(np.uint8)
    how = cv2.INTER_NEAREST
    bent = [cv2.warpPerspective(truth, matrix, (width, height), flags=how) for truth in truths]
    return photo, [truth.astype(np.uint16) for truth in bent]


def _pose(canvas: Canvas, rng: Generator) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Screen to photo: a bezel around, corners moved by up to 3 %."""
    high, wide = canvas.shape[:2]
    bezel = int(rng.integers(14, 60))
    width, height = wide + 2 * bezel, high + 2 * bezel
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    moved = corners + bezel + rng.uniform(-0.03, 0.03, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return np.asarray(matrix, np.float64), (width, height)


def shrunk(canvas: Canvas, truths: list[Truth]) -> tuple[Canvas, list[Truth]]:
    """Reduced to what a messenger lets pass."""
    scale = min(1.0, MESSENGER_SIDE_PX_MAX / max(canvas.shape))
    if scale == 1:
        return canvas, truths
    small = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (small.shape[1], small.shape[0])
    bent = [cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST) for truth in truths]
    return small.astype(np.uint8), [truth.astype(np.uint16) for truth in bent]


def moire(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """Two near-equal gratings multiplied: slow bands over fine lines, up to 6 % of the light."""
    y, x = np.ogrid[:height, :width]
    frequency, amplitude = rng.uniform(0.4, 1.7), rng.uniform(0, 0.06)
    tilt = rng.uniform(-0.1, 0.1)
    first = np.sin(x * np.float32(frequency) + y * np.float32(tilt))
    second = np.sin(y * np.float32(frequency * 1.03) + x * np.float32(0.03))
    return (1 + np.float32(amplitude) * first * second).astype(np.float32)


def glare(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """A reflected lamp: up to 12 % of the light, soft."""
    y, x = np.ogrid[:height, :width]
    cx, cy, spread = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.1, 0.3) * width
    spot = np.exp(-((x - cx) ** 2) / (2 * spread**2)) * np.exp(-((y - cy) ** 2) / (2 * spread**2))
    return (spot * rng.uniform(0.03, 0.12)).astype(np.float32)
