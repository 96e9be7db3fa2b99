"""Finds heads by their shape, so that everything else (text above all) can be blanked."""

from collections.abc import Iterator
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from workers.ingest.levels import percentiles
from workers.pixels import Box, Gray

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
ASPECT_MIN: Final = 0.6
RECTANGULARITY_MAX: Final = 0.9
"""A pane, a toolbar or a sheet of paper fills its own rectangle; an ellipse fills 0.785 of it."""

SURROUND_REACH: Final = 0.05
SURROUND_MAX: Final = 0.6
"""The air around a head, so far as this share of its size, is darker than this share of it."""

STANDS_OUT_MIN: Final = 0.3
"""Half of a head stands out from the air by this share of its contrast; of a screen, less does."""

HEADS_IN_CONTAINER_MIN: Final = 0.4
"""Several heads that fill this share of a region show that it is no head itself."""

INNER_AREA_MAX: Final = 0.6
"""A blob inside another one is another finding only below this share of its size."""

SATURATION_MAX: Final = 0.3
"""Scans are grey, even photographed; skin and desks are not."""

TEXTURE_MIN: Final = 6.0
"""Least difference between bright and dark tenths of a head: a plain disc is not anatomy."""

MARGIN: Final = 0.008
MARGIN_WORK_PX: Final = 1
"""The outline is widened by this share of the head's size and by what the reduction may lose."""


class Blob(msgspec.Struct, frozen=True):
    """A head-like region at working size: its convex outline, the mask it fills, and their extent."""

    outline: NDArray[np.int32]
    mask: NDArray[np.uint8]
    area: int
    box: Box

    def window(self, around_px: int = 0) -> tuple[slice, slice]:
        """Rows and columns of its box, widened."""
        x, y, w, h = self.box
        left, top = max(0, x - around_px), max(0, y - around_px)
        return slice(top, y + h + around_px), slice(left, x + w + around_px)

    def overlaps(self, other: "Blob") -> bool:
        """Whether they share a pixel."""
        x, y, w, h = self.box
        left, top, wide, high = other.box
        if x >= left + wide or left >= x + w or y >= top + high or top >= y + h:
            return False
        return bool((self.mask & other.mask).any())

    def is_part_of(self, other: "Blob") -> bool:
        """Whether it lies within another one and is clearly smaller."""
        if self.area > INNER_AREA_MAX * other.area or not self.overlaps(other):
            return False
        return bool((self.mask <= other.mask).all())


def find(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mask of all heads, height x width of `rgb`: 1 inside, heads apart; zeros if there is none."""
    scale = min(1.0, WORK_SIDE_PX / max(rgb.shape[:2]))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = sorted(candidates(np.asarray(small, np.uint8)), key=lambda blob: -blob.area)
    blobs = comparable(chosen(found))
    blank = np.zeros(rgb.shape[:2], np.uint8)
    return apart([blank, *(at_full_size(blob, rgb.shape[:2], scale) for blob in blobs)])


def candidates(small: NDArray[np.uint8]) -> Iterator[Blob]:
    """Head-like blobs of the reduced picture at every threshold; they may contain each other."""
    gray = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), (0, 0), 1).astype(np.uint8)
    colour = saturation(small)
    black, white = percentiles(gray, (2, 99))
    for level in LEVELS:
        binary = (gray > black + level * (white - black) + 2).astype(np.uint8)
        contours, _ = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            if cv2.contourArea(contour) >= AREA_MIN * gray.size:
                blob = trimmed(np.asarray(contour, np.int32), gray.shape)
                if blob and is_headlike(blob) and is_anatomy(blob, gray, colour):
                    yield blob


def saturation(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colourfulness of every pixel: 0 is grey, 1 is a pure colour."""
    red, green, blue = cv2.split(rgb)
    brightest = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    darkest = cv2.min(cv2.min(red, green), blue).astype(np.float32)
    return np.asarray((brightest - darkest) / np.maximum(brightest, 1), np.float32)


def trimmed(contour: NDArray[np.int32], shape: tuple[int, ...]) -> Blob | None:
    """The contour's filled inside without thin appendages, made convex; None if it is too hollow."""
    x, y, width, height = box_of(contour)
    filled = np.zeros((height + 2, width + 2), np.uint8)
    cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED, offset=(1 - x, 1 - y))
    core = opened(filled, OPENING * min(width, height) / 2)
    parts, _ = cv2.findContours(
        core, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=(x - 1, y - 1)
    )
    if not parts:
        return None
    part = max(parts, key=cv2.contourArea)
    hull = np.asarray(cv2.convexHull(part), np.int32)
    if cv2.contourArea(part) < SOLIDITY_MIN * cv2.contourArea(hull):
        return None
    mask = np.asarray(cv2.fillConvexPoly(np.zeros(shape, np.uint8), hull, 1), np.uint8)
    area = cv2.countNonZero(mask)
    return Blob(hull, mask, area, box_of(hull)) if area >= AREA_MIN * mask.size else None


def box_of(outline: NDArray[np.int32] | NDArray[np.uint8]) -> Box:
    """The upright rectangle around an outline or a mask."""
    x, y, width, height = cv2.boundingRect(outline)
    return x, y, width, height


def opened(mask: NDArray[np.uint8], radius_px: float) -> NDArray[np.uint8]:
    """Morphological opening with a disc, by distances: as fast for a large disc as for a small."""
    inner = (cv2.distanceTransform(mask, cv2.DIST_L2, 5) > radius_px).astype(np.uint8)
    return (cv2.distanceTransform(1 - inner, cv2.DIST_L2, 5) <= radius_px).astype(np.uint8)


def is_headlike(blob: Blob) -> bool:
    """Whether the outline is close to an ellipse that is neither a strip nor a rectangle."""
    _, sides, _ = cv2.minAreaRect(blob.outline)
    if min(sides) < ASPECT_MIN * max(sides) or blob.area > RECTANGULARITY_MAX * np.prod(sides):
        return False
    mask = blob.mask[blob.window()]
    ellipse = same_moments_ellipse(mask)
    return cv2.countNonZero(ellipse & mask) >= ELLIPSE_IOU_MIN * cv2.countNonZero(ellipse | mask)


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


def is_anatomy(blob: Blob, gray: Gray, colour: NDArray[np.float32]) -> bool:
    """Whether the region is grey, textured and surrounded by something darker."""
    reach = round(SURROUND_REACH * np.sqrt(blob.area))
    window = blob.window(reach)
    mask, gray = blob.mask[window], gray[window]
    wider = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    around, inside = gray[wider > mask], gray[mask > 0]
    air = np.median(around) if around.size else 0
    dark, middle, bright, brightest = percentiles(inside, (10, 50, 75, 90))
    if air > SURROUND_MAX * bright or middle - air < STANDS_OUT_MIN * (bright - air):
        return False
    grey = colour[window][mask > 0].mean() <= SATURATION_MAX
    return bool(grey and brightest - dark >= TEXTURE_MIN)


def chosen(blobs: list[Blob]) -> list[Blob]:
    """Of blobs by falling size, the largest that do not overlap, with montages taken apart."""
    kept: list[Blob] = []
    for blob in blobs:
        if not any(blob.overlaps(other) for other in kept):
            inner = chosen([other for other in blobs if other.is_part_of(blob)])
            filled = sum(other.area for other in inner) >= HEADS_IN_CONTAINER_MIN * blob.area
            kept += inner if len(inner) > 1 and filled else [blob]
    return kept


def comparable(blobs: list[Blob]) -> list[Blob]:
    """Without blobs far smaller than the largest."""
    largest = max((blob.area for blob in blobs), default=0)
    return [blob for blob in blobs if blob.area >= AREA_TO_LARGEST_MIN * largest]


def at_full_size(blob: Blob, shape: tuple[int, int], scale: float) -> NDArray[np.uint8]:
    """The blob's mask in the full picture, widened by the margin."""
    outline = np.round((blob.outline + 0.5) / scale - 0.5).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros(shape, np.uint8), outline, 1)
    margin_px = (MARGIN * np.sqrt(blob.area) + MARGIN_WORK_PX) / scale
    cv2.polylines(mask, [outline], True, 1, round(2 * margin_px))
    return np.asarray(mask, np.uint8)


def apart(masks: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Joins masks, less what two of them claim, so that heads stay separate regions."""
    touching = np.ones((3, 3), np.uint8)
    claims = np.sum([cv2.dilate(mask, touching) for mask in masks], axis=0, dtype=np.uint8)
    return np.where(claims > 1, 0, np.max(masks, axis=0)).astype(np.uint8)
