"""Measures a photo of heads, names what is wrong with it, and fingerprints it."""

from collections.abc import Iterator, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest.outcome import Source, Stop, Warned
from workers.pixels import Box, Gray

FOCUS_SIDE_PX: Final = 512
"""Sharpness depends on scale, so it is always measured on a head of this longest side."""

BLUR_MIN: Final = 20
BLUR_WARN: Final = 40
"""Variance of the Laplacian; sharp scans have 68 and more, out-of-focus ones below 8."""

HEAD_PX_MIN: Final = 96
HEAD_PX_WARN: Final = 160

DARK: Final = 16
BRIGHT: Final = 250
DARK_PERMILLE_WARN: Final = 600
BRIGHT_PERMILLE_WARN: Final = 120

FLAT_PERMILLE_SCREENSHOT: Final = 300
FLAT_PERMILLE_PHOTO: Final = 150


def measure(gray: Gray, mask: NDArray[np.uint8], box: Box) -> dict[str, int]:
    """Measures of the head in `box`: blur (Laplacian variance), head_px, dark and bright (‰)."""
    x, y, w, h = box
    head, inside = gray[y : y + h, x : x + w], mask[y : y + h, x : x + w] > 0
    anatomy = head[inside]
    return {
        "blur": sharpness(head, inside),
        "head_px": min(w, h),
        "dark": permille(anatomy < DARK),
        "bright": permille(anatomy >= BRIGHT),
    }


def permille(where: NDArray[np.bool_]) -> int:
    """Share of true values, in thousandths."""
    return round(1000 * float(where.mean())) if where.size else 0


def sharpness(head: Gray, inside: NDArray[np.bool_]) -> int:
    """Variance of the Laplacian inside the head at fixed scale, away from the blanked edge."""
    scale = FOCUS_SIDE_PX / max(head.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fixed = cv2.resize(head, None, fx=scale, fy=scale, interpolation=how)
    edges = cv2.Laplacian(cv2.GaussianBlur(fixed, (0, 0), 1), cv2.CV_32F)
    size = (fixed.shape[1], fixed.shape[0])
    area = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    area = cv2.erode(area, np.ones((9, 9), np.uint8), borderValue=0)
    return round(float(edges[area > 0].var())) if area.any() else 0


def source_of(gray: Gray, by_camera: bool) -> Source:
    """Screenshots have large areas of exactly one grey; a camera's noise leaves none."""
    if by_camera:
        return "screen-photo"
    flat = permille(gray[:, 1:] == gray[:, :-1])
    if flat >= FLAT_PERMILLE_SCREENSHOT:
        return "screenshot"
    return "screen-photo" if flat < FLAT_PERMILLE_PHOTO else "unknown"


def gate(quality: Mapping[str, int]) -> None:
    """Stops on a head that is too small or too blurred to be read."""
    if quality["head_px"] < HEAD_PX_MIN:
        raise Stop("head-too-small")
    if quality["blur"] < BLUR_MIN:
        raise Stop("too-blurred")


def warned(quality: Mapping[str, int], source: Source, cut_off: bool) -> Iterator[Warned]:
    """What makes an accepted photo less reliable, in a fixed order."""
    if quality["head_px"] < HEAD_PX_WARN:
        yield "small-head"
    if quality["blur"] < BLUR_WARN:
        yield "soft-focus"
    if quality["dark"] > DARK_PERMILLE_WARN:
        yield "too-dark"
    if quality["bright"] > BRIGHT_PERMILLE_WARN:
        yield "too-bright"
    if cut_off:
        yield "cut-off"
    if source == "screen-photo":
        yield "screen-photo"


def phash(head: Gray) -> str:
    """64-bit hash of the low frequencies of a head, as 16 hex digits."""
    small = cv2.resize(head, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return np.packbits(bits).tobytes().hex()
