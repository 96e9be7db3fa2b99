"""Finds text on the anatomy by lines: letters that are certain, then fainter ones along their line.

The second version of `text.find`.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest import text
from workers.pixels import Gray

NETS: Final[tuple[text.Net, ...]] = ("overlay", "finer")
"""The second was trained on from the first, on faint lines above all."""

FAINT_LOGIT_MIN: Final = -5.0
"""A pixel from this logit on is ink if it lies in the corridor of a line."""

FAINT_PX: Final = 4
"""Fewer pixels of faint ink in one piece (at half size) are no part of a letter."""

GAP_PX: Final = text.GAP_PX // 2
LINE_PX_MAX: Final = 30
"""At half size: letters nearer than the one are of one line; nothing higher than the other is one."""

ALONG: Final = 6.0
ACROSS: Final = 1.4
"""Length of a line's corridor beyond its ends, and its height, in heights of the line."""

SLANT_FROM: Final = 2.0
"""What is longer than so many of its heights shows how its line slants; a letter does not."""

ROUNDS_MAX: Final = 3

Rectangle = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, sides, and degrees by which it is turned."""


def find(rgb: NDArray[np.uint8], mask: Gray) -> Gray:
    """Mask (1) of text on the heads of `mask`, height x width, widened to hide it all."""
    return text.on_heads(rgb, mask, followed)


def followed(area: NDArray[np.uint8]) -> Gray:
    """Ink (1) at half the area's size: certain letters and what follows from them."""
    logits = agreed(area)
    ink = text.pieces(logits >= text.INK_LOGIT_MIN, text.SPECK_PX)
    faint = text.pieces(logits >= FAINT_LOGIT_MIN, FAINT_PX)
    for _ in range(ROUNDS_MAX):
        longer = ink | (faint & corridors(ink))
        if (longer == ink).all():
            break
        ink = longer
    return ink


def agreed(area: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of what the nets see: what one of them takes for ink by mistake, the other does not."""
    return np.asarray(np.mean([text.seen(net, area) for net in NETS], axis=0), np.float32)


def corridors(ink: Gray) -> Gray:
    """Where the letters of lines that begin with `ink` would lie."""
    where = np.zeros_like(ink)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, GAP_PX), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        corners = cv2.boxPoints(corridor(np.asarray(contour, np.int32)))
        cv2.fillConvexPoly(where, np.round(corners).astype(np.int32), 1)
    return where


def corridor(contour: NDArray[np.int32]) -> Rectangle:
    """The rectangle around a line's ink, longer at both ends and a little higher."""
    centre, (width, height), turn = slanted(contour)
    line_px = min(width, height, LINE_PX_MAX)
    longer, higher = max(width, height) + 2 * ALONG * line_px, ACROSS * line_px
    return centre, (longer, higher) if width >= height else (higher, longer), turn


def slanted(contour: NDArray[np.int32]) -> Rectangle:
    """The least rectangle around it if that shows a direction, else the upright one, lying."""
    centre, (width, height), turn = cv2.minAreaRect(contour)
    width, height = width + 1, height + 1
    if max(width, height) >= SLANT_FROM * min(width, height):
        return (centre[0], centre[1]), (width, height), turn
    x, y, wide, high = cv2.boundingRect(contour)
    return (x + wide / 2, y + high / 2), (max(wide, high), high), 0.0
