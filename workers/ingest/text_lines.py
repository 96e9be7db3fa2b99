"""Finds text on the anatomy by lines: letters that are certain, then fainter ones along their line, then
what may follow unseen where the letters at a line's end fade into what they lie on.

The later version of `text.find`.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest import text
from workers.pixels import Gray


class Look(NamedTuple):
    """One look at an area: by which net, and how many times as large."""

    net: text.Net
    scale: float = 1.0


LOOKS: Final = (Look("overlay"), Look("keen"), Look("keen", 1.5))
"""Letters of 10 px are seen by the last only, those above 20 px by the others. `keen` was trained on from
`overlay` by way of `finer`, on faint lines above all."""

NETS: Final[tuple[text.Net, ...]] = tuple(dict.fromkeys(look.net for look in LOOKS))

CONTEXT_PX: Final = 32
"""Of the surroundings of a head that the nets see: a letter half on the head is seen whole."""

INK_LOGIT_MIN: Final = -3.0
"""A pixel counts as ink from this logit on, if it is of a line."""

LINE_LOGIT_MIN: Final = -0.5
"""Ink is of a line if so much is seen somewhere in it: spots and folds of the brain are seen less."""

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

SURE_LOGIT: Final = 1.0
FADING_PERCENTILE: Final = 95
"""The end of a line fades if so many in a hundred of its last letter's pixels are below that logit."""

TAIL: Final = 5.0
"""A line that fades is blanked for so many of its heights beyond its end."""

TAIL_HEIGHT: Final = 0.6
"""Of the line's own; what is blanked is widened again."""

LINE_FROM: Final = 2.5
CERTAIN_LOGIT: Final = 0.0
"""What is longer than so many of its heights, and certain somewhere, is a line that may fade."""

Rectangle = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, sides, and degrees by which it is turned."""


def find(rgb: NDArray[np.uint8], mask: Gray) -> Gray:
    """Mask (1) of text on the heads of `mask`, height x width, widened to hide it all."""
    return text.on_heads(rgb, mask, followed, CONTEXT_PX)


def followed(area: NDArray[np.uint8]) -> Gray:
    """Ink (1) at half the area's size: certain letters, what follows from them, and what may follow."""
    logits = agreed(area)
    ink = of_lines(text.pieces(logits >= INK_LOGIT_MIN, text.SPECK_PX), logits)
    faint = text.pieces(logits >= FAINT_LOGIT_MIN, FAINT_PX)
    for _ in range(ROUNDS_MAX):
        longer = ink | (faint & corridors(ink))
        if (longer == ink).all():
            break
        ink = longer
    return ink | tails(ink, logits)


def agreed(area: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of all looks: what one of them takes for ink by mistake, the other does not."""
    return np.asarray(np.mean([looked(area, look) for look in LOOKS], axis=0), np.float32)


def looked(area: NDArray[np.uint8], look: Look) -> NDArray[np.float32]:
    """Logits of ink at half the area's size (rounded up), whatever size the net saw."""
    if look.scale == 1:
        return text.seen(look.net, area)
    large = cv2.resize(area, None, fx=look.scale, fy=look.scale, interpolation=cv2.INTER_LINEAR)
    half = ((area.shape[1] + 1) // 2, (area.shape[0] + 1) // 2)
    seen = text.seen(look.net, np.asarray(large, np.uint8))
    return np.asarray(cv2.resize(seen, half, interpolation=cv2.INTER_LINEAR), np.float32)


def of_lines(ink: Gray, logits: NDArray[np.float32]) -> Gray:
    """Ink without lines in which nothing is seen clearly."""
    kept = np.zeros_like(ink)
    for contour in lines(ink):
        inside = cv2.fillPoly(np.zeros_like(ink), [contour], 1)
        cv2.polylines(inside, [contour], True, 1, 3)
        own = (ink > 0) & (inside > 0)
        if logits[own].max() >= LINE_LOGIT_MIN:
            kept[own] = 1
    return kept


def corridors(ink: Gray) -> Gray:
    """Where the letters of lines that begin with `ink` would lie."""
    where = np.zeros_like(ink)
    for contour in lines(ink):
        corners = cv2.boxPoints(corridor(contour))
        cv2.fillConvexPoly(where, np.round(corners).astype(np.int32), 1)
    return where


def lines(ink: Gray) -> list[NDArray[np.int32]]:
    """Outlines of lines of ink."""
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, GAP_PX), np.uint8))
    contours, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [np.asarray(contour, np.int32) for contour in contours]


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


def tails(ink: Gray, logits: NDArray[np.float32]) -> Gray:
    """Where lines of `ink` may go on beyond ends that fade."""
    where = np.zeros_like(ink)
    for contour in lines(ink):
        line = slanted(contour)
        if may_fade(line, contour, logits):
            for way in (-1, 1):
                if fades(logits, at_end(line, way, -1.0, 0.3, 1.0)):
                    tail = at_end(line, way, 0.0, TAIL, TAIL_HEIGHT)
                    cv2.fillConvexPoly(where, tail, 1)
    return where


def may_fade(line: Rectangle, contour: NDArray[np.int32], logits: NDArray[np.float32]) -> bool:
    """Whether it is a line, of which anything is certain."""
    x, y, w, h = cv2.boundingRect(contour)
    certain = logits[y : y + h, x : x + w].max() >= CERTAIN_LOGIT
    return bool(certain and max(line[1]) >= LINE_FROM * min(line[1]))


def fades(logits: NDArray[np.float32], corners: NDArray[np.int32]) -> bool:
    """Whether hardly a letter between these corners is sure."""
    zone = np.zeros(logits.shape, np.uint8)
    cv2.fillConvexPoly(zone, corners, 1)
    seen = logits[zone > 0]
    return bool(seen.size and np.percentile(seen, FADING_PERCENTILE) < SURE_LOGIT)


def at_end(line: Rectangle, way: int, start: float, stop: float, high: float) -> NDArray[np.int32]:
    """Corners of a part of a line's course: from and to, in its heights beyond one of its ends."""
    centre, (width, height), turn = line
    if width < height:
        width, height, turn = height, width, turn + 90
    along = way * np.array([np.cos(np.radians(turn)), np.sin(np.radians(turn))])
    across = np.array([-along[1], along[0]]) * high * height / 2
    end, step = centre + along * width / 2, min(height, LINE_PX_MAX)
    first, last = end + along * start * step, end + along * stop * step
    corners = [first - across, last - across, last + across, first + across]
    return np.round(corners).astype(np.int32)
