"""Fictional lines of text, drawn with the truth of their ink."""

from typing import Literal

import cv2
import numpy as np
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray

from training.overlays.fonts import FAMILIES, Part, face

Canvas = NDArray[np.uint8]
Script = Literal["latin", "cyrillic"]

SIZE_PX_MIN, SIZE_PX_MAX = 9, 24
INK_MIN = 96
"""A pixel is ink when the glyph covers this much of it (of 255)."""

COLOURS = (
    (255, 255, 255),
    (225, 225, 225),
    (180, 180, 180),
    (240, 220, 120),
    (255, 255, 0),
    (130, 220, 150),
    (140, 205, 240),
    (255, 160, 60),
)

LATIN = (
    "TEST PATIENT {n:04d}",
    "ID TEST-{n:04d}",
    "DOB 01-JAN-19{y:02d}",
    "Demo Hospital {d}",
    "Testcase^Anna {n:04d}",
    "M {y}Y  170 cm",
    "Acc: T{n:04d}{y:02d}",
    "Ref. Dr. Sample {d}",
    "Study 0{d}.11.20{y:02d} 1{d}:42",
)
CYRILLIC = (
    "ТЕСТОВЫЙ ПАЦИЕНТ {n:04d}",
    "№ ТЕСТ-{n:04d}",
    "Д.р. 01.01.19{y:02d}",
    "Демо-клиника {d}",
    "Пробный Иван {n:04d}",
    "Муж. {y} лет, 70 кг",
    "Палата {d}, койка {y}",
    "Врач Образцова {d}",
    "Исслед. 0{d}.11.20{y:02d} 1{d}:42",
)


class Line(Struct, frozen=True):
    """A line as drawn: its text, size (em in px), script, and whether it lies on a head."""

    text: str
    size_px: int
    script: Script
    on_head: bool


class Ink(Struct, frozen=True):
    """A rendered line: glyph coverage 0..255, height x width, and how it will be blended."""

    coverage: Canvas
    text: str
    size_px: int
    script: Script
    colour: tuple[int, int, int]
    opacity: float
    shadow: bool


def phrase(script: Script, rng: Generator) -> str:
    """A line that names nobody: fictional and saying so."""
    pattern = str(rng.choice(CYRILLIC if script == "cyrillic" else LATIN))
    return pattern.format(n=rng.integers(1, 9999), y=rng.integers(10, 99), d=rng.integers(1, 9))


def ink(part: Part, rng: Generator, size_px: int | None = None) -> Ink:
    """A random line in a face of `part`."""
    script: Script = "cyrillic" if rng.random() < 0.5 else "latin"
    size = size_px or int(rng.integers(SIZE_PX_MIN, SIZE_PX_MAX + 1))
    text = phrase(script, rng)
    faces = FAMILIES[part]
    return Ink(
        coverage=rendered(text, *faces[rng.integers(len(faces))], size),
        text=text,
        size_px=size,
        script=script,
        colour=COLOURS[rng.integers(len(COLOURS))],
        opacity=float(rng.choice([1.0, 1.0, 0.85, 0.7])),
        shadow=bool(rng.random() < 0.3),
    )


def rendered(text: str, package: str, file: str, size_px: int) -> Canvas:
    """Glyph coverage of a line, cut to its ink with one pixel around."""
    font = face(package, file, size_px)
    mask = font.getmask(text, mode="L")
    drawn = np.asarray(mask, np.uint8).reshape(mask.size[1], mask.size[0])
    return np.pad(drawn, 1)


def blend(canvas: Canvas, line: Ink, x: int, y: int) -> None:
    """Draws the line with its upper left corner at x, y; the canvas is large enough."""
    if line.shadow:
        _put(canvas, line.coverage, (0, 0, 0), line.opacity, x + 1, y + 1)
    _put(canvas, line.coverage, line.colour, line.opacity, x, y)


def _put(
    canvas: Canvas,
    coverage: Canvas,
    colour: tuple[int, int, int],
    opacity: float,
    x: int,
    y: int,
) -> None:
    height, width = coverage.shape
    place = canvas[y : y + height, x : x + width]
    cover = coverage[: place.shape[0], : place.shape[1], None] * np.float32(opacity / 255)
    place[:] = np.round(place * (1 - cover) + np.array(colour, np.float32) * cover)


def mark(truth: NDArray[np.uint16], line: Ink, x: int, y: int, number: int) -> None:
    """Writes `number` where the line's ink lies."""
    height, width = line.coverage.shape
    place = truth[y : y + height, x : x + width]
    place[line.coverage[: place.shape[0], : place.shape[1]] >= INK_MIN] = number


def around(ink_mask: NDArray[np.bool_], reach_px: int) -> NDArray[np.bool_]:
    """All within `reach_px` of the ink."""
    size = 2 * reach_px + 1
    return cv2.dilate(ink_mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
