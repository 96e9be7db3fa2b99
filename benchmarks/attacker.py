"""Tesseract as an attacker: can it read planted lines in what de-identification left over?"""

import shutil
import subprocess
from collections.abc import Iterable
from difflib import SequenceMatcher
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

EDITS_MAX = 2
"""So many wrong letters do not hide a name."""

ENLARGED = 2
COMMAND = ("tesseract", "stdin", "stdout", "-l", "eng+rus", "--psm")
SPARSE, ONE_LINE = "11", "7"

PART_LETTERS = 4
"""So many letters in a row are a part of a name."""

ENLARGED_LINE = 4
BLACK = 1
"""What is as dark as this was blanked."""


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


def tesseract(picture: NDArray[np.uint8], layout: str = SPARSE) -> str:
    """All text it finds in a picture as it is."""
    png = cv2.imencode(".png", picture)[1].tobytes()
    command = (*COMMAND, layout)
    return subprocess.run(command, input=png, capture_output=True, check=True).stdout.decode()


def reads_part(place: NDArray[np.uint8], line: str) -> bool:
    """Whether it reads PART_LETTERS of a line in a row when it is shown nothing but the line's place, large
    and with all its contrast, bright on dark and dark on bright."""
    large = stretched(place)
    looks = (large, np.asarray(255 - large, np.uint8))
    return any(
        in_a_row(squeezed(line), squeezed(tesseract(look, ONE_LINE))) >= PART_LETTERS
        for look in looks
    )


def stretched(place: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Enlarged, from black to white, what was blanked a grey between."""
    left = place > BLACK
    if not left.any():
        return place
    low, middle, high = np.percentile(place[left], (1, 50, 99))
    grey = (np.where(left, place, middle) - low) * 255 / max(1.0, high - low)
    how = cv2.INTER_CUBIC
    large = cv2.resize(grey, None, fx=ENLARGED_LINE, fy=ENLARGED_LINE, interpolation=how)
    return np.asarray(large.clip(0, 255), np.uint8)


def in_a_row(line: str, text: str) -> int:
    """Length of the longest part of a line that a text holds."""
    same = SequenceMatcher(None, line, text, autojunk=False)
    return same.find_longest_match().size


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
