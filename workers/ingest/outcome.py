"""What can become of a photo: ingested or refused, in words that are stored for ever."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.stroke import Modality
from workers.pixels import Box

Reason = Literal[
    "empty",  # no bytes
    "not-an-image",  # no known file type
    "unsupported-type",  # a known file type that we do not read
    "too-large",  # more bytes than we accept
    "too-many-pixels",  # by its header, before anything is decoded
    "too-small",  # a side shorter than a readable scan
    "animated",  # more than one frame
    "truncated",  # the end of the file is missing
    "damaged",  # complete, yet it cannot be decoded
    "no-head",  # decoded, but nothing in it looks like a head
    "head-too-small",  # a head, but too few pixels of it
    "too-blurred",  # a head, but out of focus
    "too-dark",  # a head, but so dark that its greys run together
    "too-bright",  # a head, but much of it burnt out to white
    "glare",  # a reflected lamp hides part of the head
    "text-covers-head",  # so much text on the head that little is left
    "text-remains",  # text was blanked, yet a second look still finds some
    "not-recognised",  # shaped like a head, yet unlike every scan of one that we know
    "not-used-yet",  # recognised, but nothing is done with its modality so far
    "decoder-failed",  # the decoding process died
    "time-limit",  # the decoding process took too long
]
"""Why a photo was refused. Words are added, never renamed."""

QUARANTINED: Final = frozenset[Reason](
    {"no-head", "text-covers-head", "text-remains", "not-recognised", "not-used-yet"}
)
"""What was decoded but not safely de-identified: the original is kept restricted, nothing is shown.
What was not recognised is kept as well: a better gate may know it as a scan."""

Detected = Literal[
    "pdf", "gif", "heic", "avif", "dicom", "tiff", "bmp", "svg", "zip", "video", "other", "unknown"
]
"""File types we recognise in order to say what was sent; unknown is text or noise."""

Warned = Literal[
    "small-head",
    "soft-focus",
    "too-dark",
    "too-bright",
    "cut-off",
    "text-on-head",
    "screen-photo",
    "little-contrast",
    "glare",
    "film",
]
"""What makes an accepted photo less reliable."""

Source = Literal["screenshot", "screen-photo", "unknown", "film"]

Technical = Mapping[str, float | str]
"""How a DICOM frame was acquired, by names with units: numbers, and words that the standard defines."""


class Ingested(msgspec.Struct, frozen=True, tag="ingested"):
    """A photo reduced to its anatomy."""

    derivative: bytes
    """Grey PNG without metadata; 0 is blanked, anatomy is at least 1, text blanked on it is 1."""
    sha256: str
    """Hex SHA-256 of the derivative's bytes."""
    pixel_sha256: str
    """Hex SHA-256 over shape|dtype|pixels: the same for any lossless encoder."""
    width: int
    height: int
    source: Source
    """Best guess at how the picture was taken."""
    quality: Mapping[str, int]
    """Integer measures, see `quality.measure`."""
    warnings: tuple[Warned, ...]
    head: tuple[Box, ...]
    """Boxes of the heads in the derivative, in reading order."""
    masked_permille: int
    """Share of the decoded picture that was blanked or cut away."""
    phash: str
    """64-bit DCT hash of the largest head, 16 hex digits, as all profiles have it."""
    fingerprints: tuple[str, ...] = ()
    """256 bits of each head, see `fingerprint`; `workers.duplicates` tells which are alike."""
    sequences: tuple[Modality, ...] = ()
    """What each head was recognised as; empty in profiles that do not look."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A photo that goes no further; quarantined means decoded, but not safely de-identified."""

    outcome: Literal["rejected", "quarantined"]
    reason: Reason
    detected: Detected | None = None
    modality: Modality | None = None
    """What it was recognised as."""


class Pixels(msgspec.Struct, frozen=True, tag="pixels"):
    """A decoded photo on its way from the process that saw the bytes to the one that looks at it."""

    height: int
    width: int
    rgb: bytes
    """Height x width x 3 bytes, upright."""
    by_camera: bool
    cpu_us: dict[str, int]
    technical: Technical = {}

    def array(self) -> NDArray[np.uint8]:
        """The pixels, height x width x 3, read-only."""
        return np.frombuffer(self.rgb, np.uint8).reshape(self.height, self.width, 3)


class Examined(msgspec.Struct, frozen=True, tag="examined"):
    """An outcome and what it was made of; nothing here holds a recognised letter."""

    outcome: Ingested | Refused
    cpu_us: dict[str, int] = {}
    """Microseconds of processor time of every step that ran, in their order."""
    heads: tuple[Box, ...] = ()
    """Where the heads lie in the picture as decoded, reduced to at most 2048 pixels a side."""
    text: tuple[Box, ...] = ()
    """Where text was blanked on them, in the same picture."""
    beside: bytes = b""
    """JPEG: the picture as it came beside what is left of it; empty unless asked for and decoded."""
    technical: Technical = {}
    source: Source | None = None
    """Of a refused picture as well, with what was measured until then; None if nothing was decoded."""
    quality: Mapping[str, int] = {}


class Stop(Exception):
    """Ends the pipeline early with its refusal."""

    def __init__(
        self,
        reason: Reason,
        detected: Detected | None = None,
        modality: Modality | None = None,
    ) -> None:
        super().__init__(reason)
        outcome: Literal["rejected", "quarantined"] = (
            "quarantined" if reason in QUARANTINED else "rejected"
        )
        self.refused = Refused(outcome, reason, detected, modality)
