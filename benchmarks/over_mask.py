"""How much anatomy is blanked by mistake: where no ink is near."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.overlays import writing
from training.overlays.viewers import Shot

NEAR_PX: Final = 10
"""Anatomy blanked within this distance of ink is the price of blanking the ink, not a mistake."""

BLACK: Final = 2
"""What is as dark as this was hardly anatomy."""


def over_mask(shot: Shot, kept: NDArray[np.uint8], gray: NDArray[np.uint8]) -> float:
    """Share of the heads that was blanked though no ink is near."""
    heads = (shot.heads > 0) & (gray > BLACK) & ~writing.around(shot.ink > 0, NEAR_PX)
    return float((heads & (kept <= 1)).sum() / max(1, heads.sum()))


def kept_heads(shot: Shot, kept: NDArray[np.uint8]) -> Shot:
    """The same truth without heads of which nothing was kept: another step refused them."""
    count, labels = cv2.connectedComponents((shot.heads > 0).astype(np.uint8))
    some = np.bincount(labels[kept > 1], minlength=count) > 0
    some[0] = False
    return Shot(shot.canvas, some[labels].astype(shot.heads.dtype), shot.ink, shot.lines)
