"""How a clinician sends a slice: a viewer's screenshot with burnt-in text, or a photo of it.

All names, numbers and places drawn here are fictional and say so ("TEST PATIENT 0042").
"""

from io import BytesIO
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from training.phantom import Plane

Canvas = NDArray[np.uint8]
Kind = Literal["photo", "document"]

LAYOUTS = {"single": (1, 1), "pair": (1, 2), "quad": (2, 2)}
COLOURS = ((225, 225, 225), (180, 180, 180), (240, 220, 120), (130, 220, 150), (140, 205, 240))
PHOTO_SIDE_MAX = 1280
CAMERA = "TEST CAMERA 0042"


def identity(seed: int, rng: Generator) -> tuple[str, ...]:
    """Four overlay lines that name a fictional patient, in Latin or Cyrillic letters."""
    number = f"{seed % 10_000:04d}"
    year = rng.integers(1900, 1910)
    latin = (f"TEST PATIENT {number}", f"ID TEST-{number}", f"DOB 01-JAN-{year}", "Demo Hospital 1")
    cyrillic = (
        f"ТЕСТОВЫЙ ПАЦИЕНТ {number}",
        f"№ ТЕСТ-{number}",
        f"Д.р. 01.01.{year}",
        "Демо-клиника 1",
    )
    return latin if rng.random() < 0.5 else cyrillic


def screenshot(
    slices: list[Plane], who: tuple[str, ...], rng: Generator
) -> tuple[Canvas, tuple[str, ...]]:
    """A dark viewer with one pane per slice: RGB pixels and every line of text burnt into them."""
    rows, columns = next(size for size in LAYOUTS.values() if size[0] * size[1] == len(slices))
    side = int(rng.integers(600, 780) if len(slices) == 1 else rng.integers(400, 500))
    width = int(side * (rng.uniform(1.25, 1.55) if len(slices) == 1 else rng.uniform(1.0, 1.1)))
    font, colour = _font(rng), COLOURS[rng.integers(len(COLOURS))]
    low, high = rng.uniform(0.0, 0.05), rng.uniform(0.8, 1.0)
    panes, texts = [], []
    for number, level in enumerate(slices):
        pane = _pane(level, side, width, (low, high))
        lines = _overlays(who, number, len(slices), rng)
        _write(pane, lines, font, colour)
        panes.append(pane)
        texts += [text for corner in lines.values() for text in corner]
    canvas = np.vstack(
        [np.hstack(panes[row * columns : (row + 1) * columns]) for row in range(rows)]
    )
    return canvas, tuple(dict.fromkeys(texts))


def photograph(screen: Canvas, rng: Generator) -> Canvas:
    """A phone photo of the screen: bezel, slight perspective, moiré, glare, gamma, blur, noise."""
    bezel = int(rng.integers(14, 40))
    height, width = screen.shape[0] + 2 * bezel, screen.shape[1] + 2 * bezel
    framed = np.full((height, width, 3), 27, np.uint8)
    framed[bezel:-bezel, bezel:-bezel] = screen
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-0.03, 0.03, (4, 2)).astype(np.float32) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    seen = cv2.warpPerspective(framed, matrix, (width, height), borderValue=(44, 42, 40))
    light = (seen / np.float32(255)) ** np.float32(rng.uniform(0.85, 1.15))
    light *= _moire(height, width, rng)[..., None]
    if rng.random() < 0.5:
        light += _glare(height, width, rng)[..., None]
    blurred = cv2.GaussianBlur(light * 0.97 + 0.015, (0, 0), rng.uniform(0.4, 0.9))
    grain = rng.standard_normal((height, width, 1), np.float32) * np.float32(0.008)
    return ((blurred + grain).clip(0, 1) * 255).astype(np.uint8)


def encode(canvas: Canvas, kind: Kind, camera: bool, rng: Generator) -> bytes:
    """File bytes: a photo as the messenger recompresses it, a document as the device stored it."""
    if kind == "photo":
        shrink = min(1.0, PHOTO_SIDE_MAX / max(canvas.shape))
        small = cv2.resize(canvas, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        return jpeg(small.astype(np.uint8), int(rng.integers(80, 88)), Image.Exif())
    if camera:
        return jpeg(canvas, 92, camera_exif())
    bgr = cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _pane(level: Plane, side: int, width: int, window: tuple[float, float]) -> Canvas:
    grey = ((level - window[0]) / (window[1] - window[0])).clip(0, 1) * 255
    image = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    pane = np.full((side, width, 3), 6, np.uint8)
    left = (width - side) // 2
    pane[:, left : left + side] = np.maximum(image, 6).astype(np.uint8)[..., None]
    return pane


def _font(rng: Generator) -> str:
    """OpenCV 5 carries these faces itself; all have Latin and Cyrillic letters."""
    return str(rng.choice(["sans", "italic", "uni"]))


def _overlays(
    who: tuple[str, ...], number: int, panes: int, rng: Generator
) -> dict[tuple[int, int], tuple[str, ...]]:
    """Lines for each corner, keyed by (right?, bottom?); small panes carry less."""
    image = f"Im {rng.integers(1, 19)}/18"
    if panes > 1:
        return {(0, 0): who[:1] if number == 0 else (), (1, 1): (image,)}
    technique = ("DWI b1000", f"TR {rng.integers(38, 62) * 100}", "TE 88")
    window = (f"W {rng.integers(700, 1500)}", f"L {rng.integers(300, 800)}", "5.0 mm")
    return {(0, 0): who, (1, 0): technique, (0, 1): window, (1, 1): (image,)}


def _write(
    pane: Canvas,
    corners: dict[tuple[int, int], tuple[str, ...]],
    font: str,
    colour: tuple[int, int, int],
) -> None:
    height, width = pane.shape[:2]
    face, size = cv2.FontFace(font), max(11, round(height * 0.024))
    for (right, bottom), lines in corners.items():
        for row, line in enumerate(lines):
            long = cv2.getTextSize((width, height), line, (0, 0), face, size, 400)[2]
            x = width - long - 8 if right else 8
            y = (
                height - 8 - (len(lines) - 1 - row) * (size + 4)
                if bottom
                else (row + 1) * (size + 4)
            )
            cv2.putText(pane, line, (x, y), colour, face, size, 400)


def _moire(height: int, width: int, rng: Generator) -> Plane:
    """Two near-equal gratings multiplied: slow bands over fine lines, up to 4 % of the light."""
    y, x = np.ogrid[:height, :width]
    frequency, amplitude = rng.uniform(0.5, 1.6), rng.uniform(0, 0.04)
    first = np.sin(x * np.float32(frequency) + y * np.float32(0.02))
    second = np.sin(y * np.float32(frequency * 1.03) + x * np.float32(0.03))
    return (1 + np.float32(amplitude) * first * second).astype(np.float32)


def _glare(height: int, width: int, rng: Generator) -> Plane:
    y, x = np.ogrid[:height, :width]
    cx, cy, spread = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.12, 0.3) * width
    spot = np.exp(-((x - cx) ** 2) / (2 * spread**2)) * np.exp(-((y - cy) ** 2) / (2 * spread**2))
    return (spot * rng.uniform(0.03, 0.09)).astype(np.float32)


def jpeg(canvas: Canvas, quality: int, exif: Image.Exif) -> bytes:
    out = BytesIO()
    Image.fromarray(canvas).save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def camera_exif() -> Image.Exif:
    """What a phone writes into a file, position included (a point in the open Atlantic)."""
    exif = Image.Exif()
    exif[0x010F] = CAMERA
    exif.get_ifd(0x8825).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "W", 4: (30.0, 0.0, 0.0)})
    return exif
