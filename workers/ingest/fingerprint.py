"""What a head looks like in 256 bits, whatever its size, contrast, framing and compression."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.pixels import Gray, stretched, trimmed

SIDE_PX: Final = 64
"""The canonical head crop: cut to the tissue, square, grey values spread evenly."""

SMOOTH_PX: Final = 1.0
COARSE_PX: Final = 32
COARSE_BITS, FINE_BITS = 64, 192
"""The first find what may be alike, the second, of finer waves, tell chance from likeness."""

FIRST: Final = 2
"""The coarsest waves, of which all heads have the same, are left out."""


def fingerprint(head: Gray) -> str:
    """Which of the 64 lowest waves are above their median, then which of the next 192 are above theirs:
    16 and 48 hex digits."""
    coarse = cv2.resize(canonical(head), (COARSE_PX, COARSE_PX), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(coarse.astype(np.float64))
    values = np.array([waves[place] for place in PLACES])
    return above(values[:COARSE_BITS]) + above(values[COARSE_BITS:])


def above(values: NDArray[np.float64]) -> str:
    """Which are above the median of all, as hex digits."""
    return np.packbits(values > np.median(values)).tobytes().hex()


def canonical(head: Gray) -> NDArray[np.uint8]:
    """The head as SIDE_PX x SIDE_PX, equalised."""
    tissue = trimmed(stretched(head))
    how = cv2.INTER_AREA if max(tissue.shape) > SIDE_PX else cv2.INTER_LINEAR
    square = cv2.resize(tissue, (SIDE_PX, SIDE_PX), interpolation=how) * np.float32(255)
    smooth = cv2.GaussianBlur(square.astype(np.uint8), (0, 0), SMOOTH_PX)
    return np.asarray(cv2.equalizeHist(smooth), np.uint8)


def _places() -> list[tuple[int, int]]:
    """Rows and columns of the lowest waves, by their sum."""
    side = range(COARSE_PX)
    found = sorted((row + column, row) for row in side for column in side if row + column >= FIRST)
    return [(row, total - row) for total, row in found[: COARSE_BITS + FINE_BITS]]


PLACES: Final = tuple(_places())
