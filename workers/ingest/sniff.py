"""Tells a file's type from its first bytes, without any parser that could be attacked."""

from importlib.util import find_spec
from typing import Final, NamedTuple

from workers.ingest.outcome import Detected, Stop

IMAGE_BYTES_MAX: Final = 20_000_000
"""Also the most the Bot API lets a bot download."""

HEAD_BYTES: Final = 512
"""How far a signature may lie from the start."""

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

HEIF_BRANDS: Final = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

SIGNATURES: Final[tuple[tuple[int, bytes, Detected], ...]] = (
    (0, b"%PDF", "pdf"),
    (0, b"GIF8", "gif"),
    (128, b"DICM", "dicom"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"BM", "bmp"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    *((4, b"ftyp" + brand, "heic") for brand in HEIF_BRANDS),
    (4, b"ftypavif", "avif"),
    (4, b"ftyp", "video"),
    (0, b"\x1aE\xdf\xa3", "video"),
    (8, b"AVI ", "video"),
    (0, b"\x00\x00\x01\xba", "video"),
    (0, b"\x00\x00\x01\xb3", "video"),
    (0, b"OggS", "other"),
    (0, b"ID3", "other"),
    (0, b"8BPS", "other"),
    (0, b"\x00\x00\x01\x00", "other"),
    (0, b"\x00\x00\x00\x0cjP  ", "other"),
    (0, b"\x1f\x8b", "other"),
    (0, b"Rar!", "other"),
    (0, b"7z\xbc\xaf", "other"),
    (0, b"\xd0\xcf\x11\xe0", "other"),
    (0, b"\x7fELF", "other"),
    (0, b"MZ", "other"),
)
"""Offset, bytes, type; the first match wins."""


class Extra(NamedTuple):
    """What reads a type that not every installation reads."""

    kind: str
    library: str


EXTRAS: Final[dict[Detected, Extra]] = {
    "heic": Extra("HEIF", "pi_heif"),
    "dicom": Extra("DICOM", "pydicom"),
}
"""Named as the extras that install them: `pip install ictus[heic,dicom]`."""


def can_read(detected: Detected) -> bool:
    """Whether the library for an optional type is installed."""
    return detected in EXTRAS and find_spec(EXTRAS[detected].library) is not None


def sniff(data: bytes) -> str:
    """The one format to decode with: JPEG, PNG, WEBP, HEIF or DICOM; stops on everything else."""
    if not data:
        raise Stop("empty")
    if len(data) > IMAGE_BYTES_MAX:
        raise Stop("too-large")
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    detected = detect(data)
    if can_read(detected):
        return EXTRAS[detected].kind
    raise Stop("not-an-image" if detected == "unknown" else "unsupported-type", detected)


def detect(data: bytes) -> Detected:
    """Names a file type that we do not always accept."""
    for offset, signature, name in SIGNATURES:
        if data.startswith(signature, offset):
            return name
    return "svg" if b"<svg" in data[:HEAD_BYTES].lower() else "unknown"


def is_complete(data: bytes, kind: str) -> bool:
    """Whether the file's own end is there; bytes appended after it do not matter."""
    match kind:
        case "WEBP":
            return len(data) >= int.from_bytes(data[4:8], "little") + 8
        case "PNG":
            return b"IEND\xaeB`\x82" in data
        case "HEIF":
            return has_all_boxes(data)
        case "DICOM":
            return True  # it has no end of its own
        case _:
            return b"\xff\xd9" in data


def has_all_boxes(data: bytes) -> bool:
    """Whether the last box of an ISO media file ends within it, so far as sizes are told."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        if size < 8:  # to the end of the file, or told elsewhere
            return True
        position += size
    return position == len(data)
