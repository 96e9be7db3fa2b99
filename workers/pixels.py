"""The pixels a model sees: one normalised tile per head, the same bytes in training and in use."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

PIXELS_VERSION: Final = "tiles@1"
SIDE: Final = 96

Box = tuple[int, int, int, int]
"""x, y, width and height in pixels of the image it belongs to."""

Gray = NDArray[np.uint8]
"""Grey picture, height x width; in a derivative 0 is blanked and anatomy is at least 1."""

AREA_TO_LARGEST_MIN: Final = 0.05
"""A region smaller than this share of the largest one is a speck."""

BLACK_PERCENTILE: Final = 1.0
WHITE_PERCENTILE: Final = 99.8

TISSUE_MIN: Final = 0.15
"""Stretched grey from which a pixel belongs to what a tile is centred on."""


def load(derivative: bytes) -> Gray:
    """Grey pixels, height x width, of a derivative that ingest made; OSError on anything else."""
    with Image.open(BytesIO(derivative), formats=("PNG",)) as image:
        return np.array(image.convert("L"), dtype=np.uint8)


def heads(gray: Gray) -> list[Box]:
    """Boxes of the heads left in a derivative, in reading order: rows of panes, left to right."""
    return reading_order(regions(gray > 0))


def regions(where: NDArray[np.bool_]) -> list[Box]:
    """Boxes of the connected regions, without specks."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8))
    boxes, areas = stats[1:, :4], stats[1:, cv2.CC_STAT_AREA]
    kept = boxes[areas >= AREA_TO_LARGEST_MIN * areas.max(initial=0)]
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in kept]


def only(where: NDArray[np.bool_], boxes: Sequence[Box]) -> Gray:
    """1 on those connected regions whose boxes are named."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(where.astype(np.uint8))
    named = [tuple(map(int, row[:4])) in set(boxes) for row in stats]
    return np.asarray(np.array([False, *named[1:]])[labels], np.uint8)


def reading_order(boxes: list[Box]) -> list[Box]:
    """Sorts boxes by row, then by column; a row is what overlaps its first box by its middle."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (box[1] + box[3] / 2, box[0])):
        top, height = (rows[-1][0][1], rows[-1][0][3]) if rows else (0, 0)
        if rows and box[1] + box[3] / 2 < top + height:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row)]


def tiles(derivative: bytes) -> NDArray[np.float32]:
    """One tile per head in reading order: float32 (heads, 1, SIDE, SIDE) in [0, 1]."""
    gray = load(derivative)
    found = [tile(gray[y : y + h, x : x + w]) for x, y, w, h in heads(gray)]
    return np.stack(found)[:, None] if found else np.zeros((0, 1, SIDE, SIDE), np.float32)


def tile(head: Gray) -> NDArray[np.float32]:
    """A head as SIDE x SIDE in [0, 1]: contrast stretched, aspect kept, centred on black."""
    bright = trimmed(stretched(head))
    height, width = bright.shape
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.zeros((SIDE, SIDE), np.float32)
    x, y = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
    square[y : y + size[1], x : x + size[0]] = cv2.resize(bright, size, interpolation=how)
    return square


def stretched(head: Gray) -> NDArray[np.float32]:
    """Maps robust black and white of the anatomy to 0 and 1; what is blanked stays 0."""
    anatomy = head[head > 0]
    if not anatomy.size:
        return np.zeros(head.shape, np.float32)
    black, white = np.percentile(anatomy, (BLACK_PERCENTILE, WHITE_PERCENTILE))
    scaled = (head.astype(np.float32) - np.float32(black)) / np.float32(max(white - black, 1))
    return np.asarray(np.clip(scaled, 0, 1), np.float32)


def trimmed(bright: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut to the tissue, so that a faint scalp does not decide how large the brain appears."""
    boxes = np.array(regions(cv2.GaussianBlur(bright, (0, 0), 1) > TISSUE_MIN))
    if not boxes.size:
        return bright
    left, top = boxes[:, :2].min(0)
    right, bottom = (boxes[:, :2] + boxes[:, 2:]).max(0)
    return bright[top:bottom, left:right]
