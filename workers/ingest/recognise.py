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
    "sequence": "7937d9ee2123fb5de39c7b331ebfd3eeff24fc4421690e16a86b6b33a37202d8",
    "page": "05420f8f0223a00ca5f442f0407cf5a2eb306ec3ea075e4b138f2a592f983414",
}

PAGES: Final[tuple[Page, ...]] = get_args(Page)
MRI: Final[tuple[Modality, ...]] = ("mri-dwi", "mri-adc", "mri-flair", "mri-t2", "mri-t1")
SEQUENCES: Final = (*MRI, "ct", "other")
"""The nets' classes, in their order."""

ANY_MRI: Final = -1
"""In training: a head of which nobody knows the sequence."""

STRANGE: Final = "other"
PAGE_PX: Final = 128

PAGE_CHANCE_MIN: Final = 0.8
"""A picture is called something other than a scan from this chance on."""

KNOWN_CHANCE_MIN: Final = 0.65
"""Below, a head is neither of MRI nor of CT for certain, so nothing; set on `training.gate.calibration`."""

SEQUENCE_CHANCE_MIN: Final = 0.5
"""Below, a head is of MRI, but of no sequence more likely than not."""

STRANGENESS_MAX: Final = 1.1
"""Of the distance within which training's own scans are; heads of another make are a little farther."""

TISSUE_SHARE_MIN: Final = 0.5
"""Of an outline's box; where tissue fills less, the finder took air along."""


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
    return tuple(sequence_of(kept[y : y + h, x : x + w]) for x, y, w, h in heads)


def sequence_of(head: Gray) -> Modality | None:
    """What a head is, by all that was kept, or else by its tissue: an outline may hold air and a bezel."""
    inner = tissue(head)
    mostly_air = inner.size < TISSUE_SHARE_MIN * head.size
    return asked(head) or (asked(inner) if mostly_air else None)


def asked(head: Gray) -> Modality | None:
    """What the net takes a head for."""
    chances, strangeness = seen("sequence", tile(head)[None, None])
    return named(chances[0], float(strangeness[0]))


def tissue(head: Gray) -> Gray:
    """The part of a head that holds all that is brighter than its air."""
    air, _ = cv2.threshold(head[head > 1], 0, 255, cv2.THRESH_OTSU)
    x, y, w, h = cv2.boundingRect(np.asarray(head > air, np.uint8))
    return head[y : y + h, x : x + w]


def named(chances: NDArray[np.float32], strangeness: float) -> Modality | None:
    """The modality that a head's chances and strangeness speak for."""
    *mri, ct, _ = chances.tolist()
    if strangeness > STRANGENESS_MAX or max(sum(mri), ct) < KNOWN_CHANCE_MIN:
        return None
    if ct >= KNOWN_CHANCE_MIN:
        return "ct"
    return MRI[int(np.argmax(mri))] if max(mri) >= SEQUENCE_CHANCE_MIN else "mri"


def seen(net: Net, pictures: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Chances (N, classes) and strangeness (N,) of pictures (N, channels, side, side) in [0, 1]."""
    chances, strangeness = session(net).run(None, {"pictures": pictures})
    return np.asarray(chances, np.float32), np.asarray(strangeness, np.float32)


def stamp(net: Net) -> str:
    """The net's name and the beginning of its hash, as profiles tell it."""
    return f"{net}@{SHA256[net][:12]}"


@cache
def session(net: Net) -> "InferenceSession":
    """The net, loaded once."""
    return load(net, SHA256[net])
