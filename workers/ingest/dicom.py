"""One DICOM frame as a viewer would show it, and how it was acquired; never of whom, where or when."""

import logging
from collections.abc import Callable, Mapping
from io import BytesIO
from math import isfinite
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, config, dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from workers.ingest.decode import PIXELS_MAX, Picture, to_eight_bits
from workers.ingest.outcome import Stop, Technical

config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it tells the values of odd elements

SIDE_PX_MIN: Final = 64
"""Of the matrix as acquired: those of diffusion images are small."""

SIDE_PX_SHOWN: Final = 512
"""Smaller ones are enlarged, as viewers do."""

STRETCH_MAX: Final = 4.0
"""Pixels longer than that times their width are an error in the file."""

SYNTAX_ELEMENT: Final = b"\x02\0\x10\0UI"
HEAD_BYTES: Final = 4096

SYNTAXES: Final = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGBaseline8Bit,
    JPEG2000Lossless,
    JPEG2000,
)
"""Those that pydicom and Pillow decode; deflated ones could hold a bomb."""

GREY: Final = ("MONOCHROME1", "MONOCHROME2")
COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

NUMBERS: Final = {
    "MagneticFieldStrength": "field_strength_t",
    "SliceThickness": "slice_thickness_mm",
    "SpacingBetweenSlices": "slice_spacing_mm",
    "RepetitionTime": "repetition_time_ms",
    "EchoTime": "echo_time_ms",
    "InversionTime": "inversion_time_ms",
    "FlipAngle": "flip_angle_deg",
    "DiffusionBValue": "b_value_s_per_mm2",
}
"""All the numbers that leave this file; each by name and unit."""

NUMBER_MAX: Final = 100_000

CODES: Final = {
    "Modality": (
        "modality",
        frozenset({"MR", "CT", "CR", "DX", "XA", "US", "NM", "PT", "OT", "SC"}),
    ),
    "ScanningSequence": ("scanning_sequence", frozenset({"SE", "IR", "GR", "EP", "RM"})),
    "MRAcquisitionType": ("acquisition", frozenset({"2D", "3D"})),
}
"""All the words that leave it: those that the standard defines, so that nobody's name is among them."""

Values = NDArray[np.float64]
Curve = Callable[[Values, float, float], Values]

CURVES: Final[dict[str, Curve]] = {
    "LINEAR": lambda x, centre, width: (x - centre + 0.5) / max(width - 1, 1e-6) + 0.5,
    "LINEAR_EXACT": lambda x, centre, width: (x - centre) / width + 0.5,
    "SIGMOID": lambda x, centre, width: 1 / (1 + np.exp(-4 * (x - centre) / width)),
}
"""DICOM PS3.3 C.11.2.1: values to 0..1 for a window."""


def read(data: bytes) -> Picture:
    """The one frame of a file; stops on what it cannot show, ValueError and its like on faults."""
    if syntax(data) not in SYNTAXES:
        raise Stop("unsupported-type", "dicom")
    try:
        return shown(dcmread(BytesIO(data)))
    except (InvalidDicomError, BytesLengthException) as error:
        raise ValueError("a malformed DICOM file") from error


def shown(scan: Dataset) -> Picture:
    """The frame; its elements are parsed as they are asked for, and so may still be malformed."""
    check(scan)
    grey = scan.PhotometricInterpretation in GREY
    rgb = shades(scan) if grey else colours(scan.pixel_array)
    return Picture(enlarged(rgb, spacing(scan)), False, technical(scan))


def syntax(data: bytes) -> str:
    """How the file says it is written, before any parser reads it; empty if it does not say."""
    start = data.find(SYNTAX_ELEMENT, 132, HEAD_BYTES) + len(SYNTAX_ELEMENT)
    if start < 132:
        return ""
    length = int.from_bytes(data[start : start + 2], "little")
    return data[start + 2 : start + 2 + length].decode("ascii", "replace").rstrip("\0 ")


def check(scan: Dataset) -> None:
    """Holds what the file says of its picture to the limits, before any pixel is decoded."""
    if "Rows" not in scan or scan.get("PhotometricInterpretation") not in (*GREY, *COLOUR):
        raise Stop("unsupported-type", "dicom")
    if int(scan.get("NumberOfFrames") or 1) > 1:
        raise Stop("animated")
    rows, columns = whole(scan, "Rows"), whole(scan, "Columns")
    if rows * columns > PIXELS_MAX:
        raise Stop("too-many-pixels")
    if min(rows, columns) < SIDE_PX_MIN:
        raise Stop("too-small")
    if len(scan.get("PixelData", b"")) < bytes_min(scan):
        raise Stop("truncated")


def bytes_min(scan: Dataset) -> int:
    """The least that holds the picture: all of it, or anything where it is compressed."""
    if scan.file_meta.TransferSyntaxUID.is_encapsulated:
        return 1
    rows, columns = whole(scan, "Rows"), whole(scan, "Columns")
    bits = whole(scan, "SamplesPerPixel") * whole(scan, "BitsAllocated")
    return rows * columns * bits // 8


def whole(scan: Dataset, keyword: str) -> int:
    """A whole number; ValueError for any other kind of element under its name."""
    number = scan.get(keyword)
    if not isinstance(number, int):
        raise ValueError(f"{keyword} is no number")
    return number


def shades(scan: Dataset) -> NDArray[np.uint8]:
    """Grey by the file's window, or by the range in use where it names none."""
    values = np.asarray(apply_modality_lut(scan.pixel_array, scan), np.float64)
    window = window_of(scan)
    curve = CURVES.get(str(scan.get("VOILUTFunction") or "LINEAR"))
    if window and curve:
        grey = np.asarray(np.clip(curve(values, *window) * 255, 0, 255), np.uint8)
    else:
        grey = to_eight_bits(values.astype(np.float32))
    if scan.PhotometricInterpretation == "MONOCHROME1":
        grey = 255 - grey
    return np.repeat(grey[..., None], 3, 2)


def window_of(scan: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window."""
    centre, width = first(scan.get("WindowCenter")), first(scan.get("WindowWidth"))
    if centre is None or width is None or width <= 0:
        return None
    return centre, width


def first(value: object) -> float | None:
    """The first of one or several numbers; None for anything else."""
    one = value[0] if isinstance(value, MultiValue) and value else value
    try:
        number = float(str(one))
    except ValueError:
        return None
    return number if isfinite(number) else None


def colours(pixels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Red, green and blue of eight bits."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise Stop("unsupported-type", "dicom")
    return np.asarray(pixels, np.uint8)


def spacing(scan: Dataset) -> float:
    """How many times higher than wide a pixel is."""
    sides = scan.get("PixelSpacing")
    if not isinstance(sides, MultiValue) or len(sides) != 2:
        return 1.0
    height, width = first(sides[0]), first(sides[1])
    if not height or not width or not 1 / STRETCH_MAX <= height / width <= STRETCH_MAX:
        return 1.0
    return height / width


def enlarged(rgb: NDArray[np.uint8], stretch: float) -> NDArray[np.uint8]:
    """Square pixels, and enough of them to look at."""
    height, width = rgb.shape[0] * max(stretch, 1), rgb.shape[1] * max(1 / stretch, 1)
    scale = max(1.0, SIDE_PX_SHOWN / min(height, width))
    size = (round(width * scale), round(height * scale))
    if size == (rgb.shape[1], rgb.shape[0]):
        return rgb
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def technical(scan: Dataset) -> Technical:
    """How the frame was acquired: known numbers and words of the standard, and nothing else."""
    return {**dict(words(scan)), **dict(numbers(scan))}


def words(scan: Dataset) -> Mapping[str, str]:
    found = {name: str(scan.get(keyword)) for keyword, (name, _) in CODES.items()}
    known = dict(CODES.values())
    return {name: word for name, word in found.items() if word in known[name]}


def numbers(scan: Dataset) -> Mapping[str, float]:
    found = {name: first(scan.get(keyword)) for keyword, name in NUMBERS.items()}
    return {
        name: round(n, 3) for name, n in found.items() if n is not None and 0 <= n <= NUMBER_MAX
    }
