"""Measures a photo of heads, names what is wrong with it, and fingerprints it."""

from collections.abc import Iterator, Mapping
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest.outcome import Source, Stop, Warned
from workers.pixels import Box, Gray, tile

FOCUS_SIDE_PX: Final = 192
"""Sharpness depends on scale, so it is always measured on a head of this longest side: about the
native matrix of diffusion imaging, whose enlarged screenshots are smooth without being blurred."""

SHARPNESS_MIN: Final = 45
SHARPNESS_WARN: Final = 70
"""Fine over coarse detail, in tenths. Sharp scans have 100 and more whatever their contrast; blurred
by a sixth of a per cent of the head 78 and more, by 1.2 % (unreadable) 53 and less."""

HEAD_PX_MIN: Final = 96
HEAD_PX_WARN: Final = 160

DARK: Final = 16
BRIGHT: Final = 250
DARK_PERMILLE_WARN: Final = 600
BRIGHT_PERMILLE_WARN: Final = 120

SAME_PERMILLE_SCREENSHOT: Final = 250
SAME_PERMILLE_PHOTO: Final = 200
"""Share of the commonest grey: a viewer's background is one value, a photographed one is many."""


def measure(gray: Gray, mask: NDArray[np.uint8], box: Box) -> dict[str, int]:
    """Measures of the head in `box`: sharpness (tenths), head_px, dark and bright (‰)."""
    x, y, w, h = box
    head, inside = gray[y : y + h, x : x + w], mask[y : y + h, x : x + w] > 0
    anatomy = head[inside]
    return {
        "sharpness": sharpness(head, inside),
        "head_px": min(w, h),
        "dark": permille(anatomy < DARK),
        "bright": permille(anatomy >= BRIGHT),
    }


def permille(where: NDArray[np.bool_]) -> int:
    """Share of true values, in thousandths."""
    return round(1000 * float(where.mean())) if where.size else 0


def sharpness(head: Gray, inside: NDArray[np.bool_]) -> int:
    """Ten times the Laplacian's variance at sigma 1 over that at sigma 3, away from the mask's edge.

    A ratio, because the variance alone falls with the square of the contrast.
    """
    scale = FOCUS_SIDE_PX / max(head.shape)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fixed = cv2.resize(head, None, fx=scale, fy=scale, interpolation=how).astype(np.float32)
    area = cv2.resize(inside.astype(np.uint8), fixed.shape[::-1], interpolation=cv2.INTER_NEAREST)
    area = cv2.erode(area, np.ones((9, 9), np.uint8), borderValue=0)
    fine, coarse = (detail(fixed, area > 0, sigma) for sigma in (1, 3))
    return round(10 * fine / coarse) if coarse else 0


def detail(image: NDArray[np.float32], where: NDArray[np.bool_], sigma: float) -> float:
    """Variance of the Laplacian of Gaussian."""
    edges = cv2.Laplacian(cv2.GaussianBlur(image, (0, 0), sigma), cv2.CV_32F)
    return float(edges[where].var()) if where.any() else 0.0


def source_of(gray: Gray, by_camera: bool) -> Source:
    """How the picture was taken: the file says so, or the evenness of its background does."""
    if by_camera:
        return "screen-photo"
    same = round(1000 * int(np.bincount(gray.ravel()).max()) / gray.size)
    if same >= SAME_PERMILLE_SCREENSHOT:
        return "screenshot"
    return "screen-photo" if same < SAME_PERMILLE_PHOTO else "unknown"


def gate(quality: Mapping[str, int]) -> None:
    """Stops on a head that is too small or too blurred to be read."""
    if quality["head_px"] < HEAD_PX_MIN:
        raise Stop("head-too-small")
    if quality["sharpness"] < SHARPNESS_MIN:
        raise Stop("too-blurred")


def warned(quality: Mapping[str, int], source: Source, cut_off: bool) -> Iterator[Warned]:
    """What makes an accepted photo less reliable, in a fixed order."""
    if quality["head_px"] < HEAD_PX_WARN:
        yield "small-head"
    if quality["sharpness"] < SHARPNESS_WARN:
        yield "soft-focus"
    if quality["dark"] > DARK_PERMILLE_WARN:
        yield "too-dark"
    if quality["bright"] > BRIGHT_PERMILLE_WARN:
        yield "too-bright"
    if cut_off:
        yield "cut-off"
    if quality.get("text"):
        yield "text-on-head"
    if source in ("screen-photo", "film"):
        yield source


def phash(head: Gray) -> str:
    """64-bit hash of a head's low frequencies, as 16 hex digits; of the tile, so framing is out."""
    small = cv2.resize(tile(head), (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    low = cv2.dct(small)[:8, :8].ravel()
    return np.packbits(low > np.median(low[1:])).tobytes().hex()
