"""How a head is lit: too dark, too bright, or behind a reflected lamp."""

from collections.abc import Iterator, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest.levels import percentiles
from workers.ingest.outcome import Source, Stop, Warned
from workers.ingest.quality import BRIGHT, permille
from workers.pixels import Box, Gray

RANGE_MIN, RANGE_WARN = 32, 64
"""Grey levels that a head uses. Drawn scans use 110 and more; at a tenth of their light, 25 and fewer."""

BURNT_PERMILLE_MAX: Final = 300
"""Of the anatomy burnt out to white. Drawn scans have 52 and fewer, at three times their light 226 and
more."""

BLOWN_PERMILLE_WARN, BLOWN_PERMILLE_MAX = 10, 80
VEIL_PERMILLE_WARN: Final = 200
"""Drawn photos have no white spot of BLOB_PX and a veil of 163 and less; a lamp a quarter as bright
as the screen begins to veil, one as bright leaves white spots."""

SIDE_PX: Final = 48
BLOB_PX: Final = 5
"""A white spot counts where a square of a tenth of the head's side is all white."""

WHITE: Final = 245
NEAR_SHARE, FAR_SHARE = 0.015, 0.06
"""The air around a head, in shares of its shorter side."""

SECTORS: Final = 12
SECTOR_PX_MIN: Final = 20
AIR_PERCENTILE: Final = 25


def measure(gray: Gray, mask: Gray, box: Box) -> dict[str, int]:
    """Measures of the head in `box`: range (grey levels in use), burnt and blown (‰ of the head that is
    white, and that lies in spots of white), veil (‰ of the range)."""
    x, y, w, h = box
    around = round(2 * FAR_SHARE * min(w, h))
    window = np.s_[max(0, y - around) : y + h + around, max(0, x - around) : x + w + around]
    inside = np.zeros_like(mask)
    inside[y : y + h, x : x + w] = mask[y : y + h, x : x + w]
    anatomy = gray[inside > 0]
    low, high = percentiles(anatomy, (5, 99))
    used = round(float(high - low))
    lit = veil(gray[window], mask[window], inside[window], min(w, h))
    return {
        "range": used,
        "burnt": permille(anatomy >= BRIGHT),
        "blown": blown(gray[window], inside[window]),
        "veil": round(1000 * lit / max(used, 1)),
    }


def blown(gray: Gray, inside: Gray) -> int:
    """Share of the head that lies in spots of white, in thousandths."""
    size = (SIDE_PX, SIDE_PX)
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    where = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST) > 0
    darkest = cv2.erode(small, np.ones((BLOB_PX, BLOB_PX), np.uint8))
    return round(1000 * float((darkest[where] >= WHITE).mean())) if where.any() else 0


def veil(gray: Gray, mask: Gray, inside: Gray, side_px: int) -> float:
    """How much lighter the air is on one side of the head than all around it, in grey levels."""
    ring = grown(inside, side_px, FAR_SHARE) > grown(inside, side_px, NEAR_SHARE)
    rows, columns = np.nonzero(ring & (mask == 0))
    y, x = (axis.mean() for axis in np.nonzero(inside))
    turn = np.arctan2(rows - y, columns - x) / (2 * np.pi) + 0.5
    sector = (turn * SECTORS).astype(np.int64) % SECTORS
    air = gray[rows, columns]
    levels = [
        percentiles(air[sector == one], (AIR_PERCENTILE,))[0]
        for one in range(SECTORS)
        if np.count_nonzero(sector == one) >= SECTOR_PX_MIN
    ]
    return float(max(levels) - np.median(levels)) if levels else 0.0


def grown(inside: Gray, side_px: int, share: float) -> NDArray[np.uint8]:
    """The mask widened by a share of the head's side."""
    side = 2 * max(1, round(share * side_px)) + 1
    return np.asarray(cv2.dilate(inside, np.ones((side, side), np.uint8)), np.uint8)


def gate(quality: Mapping[str, int], source: Source) -> None:
    """Stops on a head that light or its lack made unreadable; lamps are reflected in photos only."""
    if quality["range"] < RANGE_MIN:
        raise Stop("too-dark")
    if source != "screenshot" and quality["blown"] > BLOWN_PERMILLE_MAX:
        raise Stop("glare")
    if quality["burnt"] > BURNT_PERMILLE_MAX:
        raise Stop("too-bright")


def warned(quality: Mapping[str, int], source: Source) -> Iterator[Warned]:
    """What the light makes less reliable, in a fixed order."""
    if quality["range"] < RANGE_WARN:
        yield "little-contrast"
    veiled = quality["veil"] > VEIL_PERMILLE_WARN or quality["blown"] > BLOWN_PERMILLE_WARN
    if source != "screenshot" and veiled:
        yield "glare"
