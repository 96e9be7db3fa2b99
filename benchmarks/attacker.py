"""Tesseract as an attacker: can it read planted lines in what de-identification left over?"""

import shutil
import subprocess
from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

EDITS_MAX = 2
"""So many wrong letters do not hide a name."""

ENLARGED = 2
COMMAND = ("tesseract", "stdin", "stdout", "-l", "eng+rus", "--psm", "11")


@cache
def installed() -> bool:
    """Whether Tesseract with English and Russian is here."""
    if shutil.which("tesseract") is None:
        return False
    listed = subprocess.run(
        ("tesseract", "--list-langs"), capture_output=True, text=True, check=False
    ).stdout.split()
    return {"eng", "rus"} <= set(listed)


def read_lines(gray: NDArray[np.uint8], planted: Iterable[str]) -> int:
    """How many of the planted lines it reads, give or take EDITS_MAX letters."""
    text = squeezed(recognised(gray))
    return sum(distance_within(squeezed(line), text) <= EDITS_MAX for line in planted)


def recognised(gray: NDArray[np.uint8]) -> str:
    """All text it finds in a picture enlarged twice."""
    how = cv2.INTER_CUBIC
    large = cv2.resize(gray, None, fx=ENLARGED, fy=ENLARGED, interpolation=how)
    return tesseract(np.asarray(large, np.uint8))


def tesseract(picture: NDArray[np.uint8]) -> str:
    """All text it finds in a picture as it is."""
    png = cv2.imencode(".png", picture)[1].tobytes()
    return subprocess.run(COMMAND, input=png, capture_output=True, check=True).stdout.decode()


def squeezed(text: str) -> str:
    """Without spaces and case."""
    return "".join(text.split()).casefold()


def distance_within(needle: str, hay: str) -> int:
    """Edits from `needle` to the part of `hay` that is nearest to it (Sellers)."""
    above = [0] * (len(hay) + 1)
    for row, letter in enumerate(needle, 1):
        here = [row]
        for column, other in enumerate(hay, 1):
            change = above[column - 1] + (letter != other)
            here.append(min(change, above[column] + 1, here[-1] + 1))
        above = here
    return min(above)
