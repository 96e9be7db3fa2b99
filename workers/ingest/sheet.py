"""What the pipeline's steps read and write while one photo goes through them."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.stroke import Modality
from workers.ingest.outcome import Source, Technical, Warned
from workers.pixels import Box, Gray

Rgb = NDArray[np.uint8]

NOTHING: Final[Gray] = np.zeros((0, 0), np.uint8)


class Sheet(msgspec.Struct):
    """One photo on its way; every step fills in what its name says."""

    data: bytes = b""
    kind: str = ""
    """The one format to decode with."""
    rgb: Rgb = NOTHING
    """Height x width x 3, upright."""
    by_camera: bool = False
    technical: Technical = {}
    gray: Gray = NOTHING
    """Height x width, as `rgb`."""
    source: Source = "unknown"
    mask: Gray = NOTHING
    """1 where a head is, height x width."""
    text: Gray = NOTHING
    """1 where text was blanked on a head, height x width; empty in profiles that do not look for it."""
    frame: Box = (0, 0, 0, 0)
    """The box around all heads: the derivative's place in the picture."""
    kept: Gray = NOTHING
    """The derivative's pixels: 0 is blanked, anatomy, and text blanked on it, at least 1."""
    heads: tuple[Box, ...] = ()
    """Boxes in `kept`, in reading order."""
    sequences: tuple[Modality, ...] = ()
    """What each head was recognised as."""
    quality: dict[str, int] = {}
    warnings: tuple[Warned, ...] = ()
    phash: str = ""
    fingerprints: tuple[str, ...] = ()
    """Of each head, in reading order; none in profiles that do not take them."""
    derivative: bytes = b""
    cpu_us: dict[str, int] = {}
    """Step to microseconds of processor time."""
