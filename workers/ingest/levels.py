"""Percentiles of grey levels from their histogram: those of NumPy, without sorting."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray


def percentiles(levels: NDArray[np.uint8], percent: Sequence[float]) -> NDArray[np.float64]:
    """The bits of `np.percentile(levels, percent)`; `levels` has any shape and is not empty."""
    counts = cv2.calcHist([levels.reshape(-1, 1)], [0], None, [256], [0, 256])
    up_to = np.cumsum(counts.ravel().astype(np.int64))
    places = np.asarray(percent) / 100 * (levels.size - 1)
    first = np.floor(places)
    below, above = np.searchsorted(up_to, [first, np.ceil(places)], side="right")
    share, step = places - first, above - below
    return np.asarray(np.where(share < 0.5, below + step * share, above - step * (1 - share)))
