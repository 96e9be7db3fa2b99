"""What became of every planted line: how much of its ink is left, and whether that can be read."""

from typing import Any, Final

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from benchmarks.attacker import installed, reads_part
from training.overlays import writing
from training.overlays.viewers import Shot
from training.overlays.writing import Line

COVERED: Final = 0.98
"""A line is gone when this share of its ink is."""

INK_PX_MIN: Final = 20
"""A line of which the camera saw less than this is no line."""

RING_PX: Final = 4

CONTRAST_MIN: Final = 12
"""A line whose ink is this much brighter or darker (of 255) than what is around it can be seen."""


class Fate(Struct):
    """A line, the share of its ink that is left, and how far in the picture it is from what lies around
    it, in grey levels."""

    line: Line
    number: int
    """Of its ink in the picture's truth."""
    left: float
    contrast: float
    read: bool = False
    """Whether Tesseract, shown this place alone, still reads a part of it."""

    @property
    def seen(self) -> bool:
        """Whether it could be seen in the picture."""
        return self.contrast >= CONTRAST_MIN

    @property
    def leaks(self) -> bool:
        """Whether so much is left that it is not gone."""
        return self.left > 1 - COVERED


def fates(shot: Shot, kept: NDArray[np.uint8], gray: NDArray[np.uint8]) -> list[Fate]:
    """What became of every line that the picture shows."""
    count_ = len(shot.lines) + 1
    inks = np.bincount(shot.ink.ravel(), minlength=count_)
    left = np.bincount(shot.ink[kept > 1].ravel(), minlength=count_)
    return [
        Fate(line, number, float(left[number] / inks[number]), contrast(shot, number, gray))
        for number, line in enumerate(shot.lines, 1)
        if inks[number] >= INK_PX_MIN
    ]


def attacked(fates_: list[Fate], shot: Shot, kept: NDArray[np.uint8]) -> list[Fate]:
    """The same, with what Tesseract still reads of the lines that leak."""
    if installed():
        for fate in fates_:
            place = place_of(shot, fate.number)
            fate.read = fate.leaks and reads_part(kept[place], fate.line.text)
    return fates_


def place_of(shot: Shot, number: int) -> tuple[slice, slice]:
    """Rows and columns of a line and what lies within RING_PX of it."""
    x, y, w, h = cv2.boundingRect((shot.ink == number).astype(np.uint8))
    top, left = max(0, y - RING_PX), max(0, x - RING_PX)
    return slice(top, y + h + RING_PX), slice(left, x + w + RING_PX)


def contrast(shot: Shot, number: int, gray: NDArray[np.uint8]) -> float:
    """How far a line's ink is from what lies within RING_PX of it, in grey levels."""
    place = place_of(shot, number)
    own = shot.ink[place] == number
    ring = writing.around(own, RING_PX) & ~writing.around(own, 1)
    return abs(float(gray[place][own].mean()) - float(gray[place][ring].mean()))


def told(fate: Fate) -> dict[str, Any]:
    """A line that leaks, but for its text."""
    return {
        "size_px": fate.line.size_px,
        "on_head": fate.line.on_head,
        "left": round(fate.left, 3),
        "contrast": round(fate.contrast, 1),
        "read": fate.read,
    }
