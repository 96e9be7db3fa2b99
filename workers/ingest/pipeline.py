"""From an untrusted photo to its anatomy alone: pure, and the same bytes every time."""

from hashlib import sha256
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.ingest import anatomy, quality
from workers.ingest.decode import Picture, decode
from workers.ingest.outcome import Detected, Ingested, Reason, Refused, Source, Stop, Warned
from workers.ingest.sniff import sniff
from workers.pixels import PIXELS_VERSION, Box, Gray, heads

__all__ = [
    "PROFILE",
    "PROFILE_STEPS",
    "Detected",
    "Ingested",
    "Reason",
    "Refused",
    "Source",
    "Warned",
    "process",
]

PROFILE_STEPS: Final = (
    "sniff@1",
    "decode@1",
    "bound@1",
    "source@1",
    "anatomy@1",
    "quality@1",
    "phash@1",
    "png@1",
    PIXELS_VERSION,
)
"""Every step with its version; a change that can alter one output byte raises a version."""

PROFILE: Final = f"ingest-1:{sha256('|'.join(PROFILE_STEPS).encode()).hexdigest()[:12]}"

SIDE_PX_MAX: Final = 2048
"""Longer pictures are reduced; the original keeps what this loses."""

PNG_LEVEL: Final = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def process(data: bytes) -> Ingested | Refused:
    """The photo reduced to its anatomy, or the one reason why it goes no further."""
    try:
        return ingest(decode(data, sniff(data)))
    except Stop as stop:
        return stop.refused


def ingest(picture: Picture) -> Ingested:
    """Blanks all but the heads, crops to them, holds them to the gate and describes them."""
    rgb = bounded(picture.rgb)
    gray = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    mask = anatomy.find(rgb)
    if not mask.any():
        raise Stop("no-head")
    x, y, w, h = cv2.boundingRect(mask)
    crop, inside = gray[y : y + h, x : x + w], mask[y : y + h, x : x + w]
    kept = np.where(inside > 0, np.maximum(crop, 1), 0).astype(np.uint8)
    boxes = heads(kept)
    largest = max(boxes, key=lambda box: box[2] * box[3])
    measures = quality.measure(crop, inside, largest)
    quality.gate(measures)
    source = quality.source_of(gray, picture.by_camera)
    derivative = encoded(kept)
    return Ingested(
        derivative=derivative,
        sha256=sha256(derivative).hexdigest(),
        pixel_sha256=pixel_hash(kept),
        width=w,
        height=h,
        source=source,
        quality=measures,
        warnings=tuple(quality.warned(measures, source, touches_edge(mask))),
        head=tuple(boxes),
        masked_permille=quality.permille(mask == 0),
        phash=quality.phash(cut(kept, largest)),
    )


def bounded(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture reduced to at most SIDE_PX_MAX pixels on its longest side."""
    scale = SIDE_PX_MAX / max(rgb.shape)
    if scale >= 1:
        return rgb
    return np.asarray(cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def cut(gray: Gray, box: Box) -> Gray:
    """The pixels of a box."""
    x, y, w, h = box
    return gray[y : y + h, x : x + w]


def touches_edge(mask: NDArray[np.uint8]) -> bool:
    """Whether a head runs out of the picture."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def encoded(gray: Gray) -> bytes:
    """Lossless PNG that holds nothing but the pixels."""
    return cv2.imencode(".png", gray, PNG_LEVEL)[1].tobytes()


def pixel_hash(gray: Gray) -> str:
    """Hex SHA-256 of shape|dtype|pixels, which no encoder's version can change."""
    height, width = gray.shape
    return sha256(b"%dx%d|uint8|" % (height, width) + gray.tobytes()).hexdigest()
