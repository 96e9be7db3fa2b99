"""Tells what a picture is, and of which sequence each head in it; what is unlike all known scans is nothing.

Two small nets, made by `training.gate.net` from drawn pictures only (their recipes lie beside them). Each
also tells how strange a picture is: its distance from the nearest scans it was trained on, 1 the limit.
"""

from functools import cache
from typing import TYPE_CHECKING, Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.stroke import Modality
from workers.ingest.session import load
from workers.pixels import Box, Gray, tile

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Net = Literal["sequence", "page"]
Page = Literal["scan", "film", "ecg", "report", "other"]

SHA256: Final[dict[Net, str]] = {
    "sequence": "",
    "page": "",
}

PAGES: Final[tuple[Page, ...]] = get_args(Page)
MRI: Final[tuple[Modality, ...]] = ("mri-dwi", "mri-adc", "mri-flair", "mri-t2", "mri-t1")
SEQUENCES: Final = (*MRI, "ct", "other")
"""The nets' classes, in their order."""

ANY_MRI: Final = -1
"""In training: a head of which nobody knows the sequence."""

STRANGE: Final = "other"
PAGE_PX: Final = 128

PAGE_CHANCE_MIN: Final = 0.9
"""A picture is called something other than a scan from this chance on."""

SEQUENCE_CHANCE_MIN: Final = 0.6
"""Below, a head is of MRI, but of no sequence for certain."""

STRANGENESS_MAX: Final = 1.0


def page_of(rgb: NDArray[np.uint8]) -> Page:
    """What the whole picture is; a scan where nothing else is certain."""
    chances, strangeness = seen("page", page_input(rgb))
    best = int(chances[0].argmax())
    certain = chances[0, best] >= PAGE_CHANCE_MIN and strangeness[0] <= STRANGENESS_MAX
    return PAGES[best] if certain else "scan"


def page_input(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The whole picture squeezed into a square: float32 (1, 3, PAGE_PX, PAGE_PX) in [0, 1]."""
    small = cv2.resize(rgb, (PAGE_PX, PAGE_PX), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32) / np.float32(255)


def sequences_of(kept: Gray, heads: tuple[Box, ...]) -> tuple[Modality | None, ...]:
    """What each head of a picture that was cleared is; None: not a head that we know."""
    tiles = np.stack([tile(kept[y : y + h, x : x + w]) for x, y, w, h in heads])[:, None]
    chances, strangeness = seen("sequence", tiles)
    return tuple(map(named, chances, strangeness))


def named(chances: NDArray[np.float32], strangeness: float) -> Modality | None:
    """The modality that a head's chances and strangeness speak for."""
    *mri, ct, other = chances.tolist()
    if strangeness > STRANGENESS_MAX or other >= max(sum(mri), ct):
        return None
    if ct >= sum(mri):
        return "ct"
    return MRI[int(np.argmax(mri))] if max(mri) >= SEQUENCE_CHANCE_MIN else "mri"


def seen(net: Net, pictures: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Chances (N, classes) and strangeness (N,) of pictures (N, channels, side, side) in [0, 1]."""
    chances, strangeness = session(net).run(None, {"pictures": pictures})
    return np.asarray(chances, np.float32), np.asarray(strangeness, np.float32)


@cache
def session(net: Net) -> "InferenceSession":
    """The net, loaded once."""
    return load(net, SHA256[net])
