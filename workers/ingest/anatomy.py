"""Finds heads by their shape, so that everything else (text above all) can be blanked."""

from collections.abc import Iterator
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from workers.pixels import Gray

WORK_SIDE_PX: Final = 512
"""Shapes are judged on a picture reduced to this longest side."""

LEVELS: Final = (0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45)
"""Thresholds tried, as shares of the way from the picture's black to its white."""

OPENING: Final = 0.12
"""Parts thinner than this share of a blob's short side (text, lines, pointers) are cut off it."""

AREA_MIN: Final = 0.006
"""Smallest head, as a share of the picture."""

AREA_TO_LARGEST_MIN: Final = 0.2
"""Smaller ones are thumbnails of a viewer's series list."""

SOLIDITY_MIN: Final = 0.88
ELLIPSE_IOU_MIN: Final = 0.84
ASPECT_MIN: Final = 0.45
RECTANGULARITY_MAX: Final = 0.9
"""A pane, a toolbar or a sheet of paper fills its own rectangle; an ellipse fills 0.785 of it."""

SURROUND_MAX: Final = 0.6
"""Air around a head is darker than this share of the head."""

SATURATION_MAX: Final = 0.4
"""Scans are grey, even photographed; skin and desks are not."""

TEXTURE_MIN: Final = 5.0
"""Least standard deviation of grey inside a head: a plain disc is not anatomy."""

MARGIN: Final = 0.02
"""The outline is widened by this share of the head's size."""


class Blob(msgspec.Struct, frozen=True):
    """A head-like region: its convex outline and filled mask at working size."""

    outline: NDArray[np.int32]
    mask: NDArray[np.uint8]
    area: int


def find(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask of all heads, height x width of `rgb`: 1 inside, heads apart; zeros if there is none."""
    scale = min(1.0, WORK_SIDE_PX / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    blobs = outermost(sorted(candidates(small), key=lambda blob: -blob.area))
    blank = np.zeros(rgb.shape[:2], np.uint8)
    return apart([blank, *(at_full_size(blob, rgb.shape[:2], scale) for blob in blobs)])


def candidates(small: NDArray[np.uint8]) -> Iterator[Blob]:
    """Head-like blobs of the reduced picture at every threshold; they may contain each other."""
    gray = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (0, 0), 1)
    black, white = np.percentile(gray, (2, 99))
    for level in LEVELS:
        binary = (gray > black + level * (white - black) + 2).astype(np.uint8)
        contours, _ = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            if cv2.contourArea(contour) >= AREA_MIN * gray.size:
                blob = trimmed(contour, gray.shape)
                if blob and is_headlike(blob) and is_anatomy(blob, small, gray):
                    yield blob


def trimmed(contour: NDArray[np.int32], shape: tuple[int, ...]) -> Blob | None:
    """The contour's filled inside without thin appendages, as a convex blob."""
    mask = np.zeros(shape, np.uint8)
    cv2.drawContours(mask, [contour], -1, 1, cv2.FILLED)
    _, _, width, height = cv2.boundingRect(contour)
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, disc(OPENING * min(width, height)))
    parts, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not parts:
        return None
    part = max(parts, key=cv2.contourArea)
    hull = cv2.convexHull(part)
    if cv2.contourArea(part) < SOLIDITY_MIN * cv2.contourArea(hull):
        return None
    filled = cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 1)
    area = int(filled.sum())
    return Blob(hull, filled, area) if area >= AREA_MIN * filled.size else None


def disc(diameter_px: float) -> NDArray[np.uint8]:
    """A round structuring element of odd size."""
    side = 2 * round(diameter_px / 2) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def is_headlike(blob: Blob) -> bool:
    """Whether the outline is close to an ellipse that is neither a strip nor a rectangle."""
    (_, _), sides, _ = cv2.minAreaRect(blob.outline)
    if min(sides) < ASPECT_MIN * max(sides) or blob.area > RECTANGULARITY_MAX * np.prod(sides):
        return False
    ellipse = same_moments_ellipse(blob.mask)
    both = np.count_nonzero(ellipse & blob.mask)
    return both >= ELLIPSE_IOU_MIN * np.count_nonzero(ellipse | blob.mask)


def same_moments_ellipse(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The filled ellipse with the mask's area, centre, direction and elongation."""
    m = cv2.moments(mask, binaryImage=True)
    covariance = np.array([[m["mu20"], m["mu11"]], [m["mu11"], m["mu02"]]]) / m["m00"]
    values, vectors = np.linalg.eigh(covariance)
    grow = np.sqrt(m["m00"] / (np.pi * 4 * np.sqrt(max(values.prod(), 1e-9))))
    centre = (m["m10"] / m["m00"], m["m01"] / m["m00"])
    axes = (4 * grow * np.sqrt(values[1]), 4 * grow * np.sqrt(values[0]))
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    return np.asarray(cv2.ellipse(np.zeros_like(mask), (centre, axes, angle), 1, cv2.FILLED))


def is_anatomy(blob: Blob, small: NDArray[np.uint8], gray: Gray) -> bool:
    """Whether the region is grey, textured and surrounded by something darker."""
    wider = cv2.dilate(blob.mask, disc(0.1 * np.sqrt(blob.area)))
    ring, inside = gray[(wider > 0) & (blob.mask == 0)], gray[blob.mask > 0]
    colours = small[blob.mask > 0].astype(np.int16)
    spread = np.median(colours.max(1) - colours.min(1)) / max(1.0, np.median(colours.max(1)))
    dark = not ring.size or np.median(ring) <= SURROUND_MAX * np.percentile(inside, 75)
    return bool(dark and spread <= SATURATION_MAX and inside.std() >= TEXTURE_MIN)


def outermost(blobs: list[Blob]) -> list[Blob]:
    """Of blobs by falling size, the largest that do not overlap and are of comparable size."""
    kept: list[Blob] = []
    for blob in blobs:
        alone = all(not (blob.mask & other.mask).any() for other in kept)
        if alone and (not kept or blob.area >= AREA_TO_LARGEST_MIN * kept[0].area):
            kept.append(blob)
    return kept


def at_full_size(blob: Blob, shape: tuple[int, int], scale: float) -> NDArray[np.uint8]:
    """The blob's mask in the full picture, widened by the margin."""
    outline = np.round((blob.outline + 0.5) / scale - 0.5).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros(shape, np.uint8), outline, 1)
    return np.asarray(cv2.dilate(mask, disc(2 * MARGIN * np.sqrt(blob.area) / scale)), np.uint8)


def apart(masks: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Joins masks, less what two of them claim, so that heads stay separate regions."""
    claims = np.sum([cv2.dilate(mask, disc(3)) for mask in masks], axis=0)
    return np.where(claims > 1, 0, np.max(masks, axis=0)).astype(np.uint8)
