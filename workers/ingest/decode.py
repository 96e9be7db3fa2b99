"""Turns untrusted bytes of one known format into an upright RGB array, within limits."""

import struct
import warnings
import zlib
from functools import cache
from io import BytesIO
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import (
    ExifTags,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from workers.ingest.outcome import Stop, Technical
from workers.ingest.sniff import is_complete

PIXELS_MAX: Final = 40_000_000
SIDE_PX_MIN: Final = 256

PLUGINS: Final = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
"""Imported here so that no photo waits for, or triggers, an import."""

CANNOT_DECODE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""What readers raise on malformed files."""

ORIENTATIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what turns the picture upright."""

BOMBS: Final = (Image.DecompressionBombWarning, Image.DecompressionBombError)


class Picture(msgspec.Struct, frozen=True):
    """A decoded photo: uint8 height x width x 3, upright, and whether a camera took it."""

    rgb: NDArray[np.uint8]
    by_camera: bool
    technical: Technical = {}


def decode(data: bytes, kind: str) -> Picture:
    """Decodes `data` as `kind` and as nothing else; stops with a reason on any fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata: no reason to refuse a scan
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return by_pydicom(data) if kind == "DICOM" else by_pillow(data, kind)
    except BOMBS as error:
        raise Stop("too-many-pixels") from error
    except CANNOT_DECODE as error:
        raise Stop("damaged" if is_complete(data, kind) else "truncated") from error


def by_pydicom(data: bytes) -> Picture:
    """One frame as a viewer would show it."""
    from workers.ingest import dicom  # only where its library is installed

    return dicom.read(data)


def by_pillow(data: bytes, kind: str) -> Picture:
    """A photo or a picture of a screen."""
    if kind == "HEIF":
        learn_heif()
    with Image.open(BytesIO(data), formats=(kind,)) as image:
        check(image)
        image.load()
        turn, by_camera = facts(image)
        rgb = to_rgb(image)
        return Picture(np.array(rgb if turn is None else rgb.transpose(turn)), by_camera)


@cache
def learn_heif() -> None:
    """Adds libheif to what Pillow opens: the picture itself, none that comes along with it."""
    from pi_heif.as_plugin import register_heif_opener

    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


def check(image: Image.Image) -> None:
    """Holds the header to the limits, before any pixel is decoded."""
    if image.width * image.height > PIXELS_MAX:
        raise Stop("too-many-pixels")
    if min(image.size) < SIDE_PX_MIN:
        raise Stop("too-small")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise Stop("animated")


def facts(image: Image.Image) -> tuple[Image.Transpose | None, bool]:
    """How to turn the picture upright, and whether its file names a camera; broken EXIF: as is."""
    try:
        exif = image.getexif()
    except CANNOT_DECODE:
        return None, False
    by_camera = bool(exif.get(ExifTags.Base.Make) or exif.get(ExifTags.Base.Model))
    return ORIENTATIONS.get(exif.get(ExifTags.Base.Orientation, 1)), by_camera


def to_rgb(image: Image.Image) -> Image.Image:
    """Eight-bit RGB of any mode: 16 bits scaled instead of clipped, transparency on black."""
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(to_eight_bits(np.asarray(image, dtype=np.float32))).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, layer).convert("RGB")


def to_eight_bits(deep: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Scales the range in use to 0..255: scanners fill only 12 of 16 bits."""
    black, white = np.percentile(deep, (0.1, 99.9))
    scaled = (deep - black) * (255 / max(white - black, 1))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)
