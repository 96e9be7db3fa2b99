"""Small JPEGs for the demo's page, as data URIs."""

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from workers.ingest.decode import decode
from workers.ingest.outcome import Stop
from workers.ingest.sniff import sniff

JPEG_QUALITY = 80


class Picture(NamedTuple):
    uri: str
    width: int
    height: int


def open_sent(data: bytes) -> Image.Image | None:
    """What a person sent, decoded as ingest does; None for what it refuses to decode."""
    try:
        return Image.fromarray(decode(data, sniff(data)).rgb)
    except Stop:
        return None


def open_masked(data: bytes) -> Image.Image:
    """A derivative: a PNG of our own making."""
    with Image.open(BytesIO(data), formats=("PNG",)) as image:
        return image.convert("L")


def picture(image: Image.Image, side_px_max: int) -> Picture:
    """The image within a square of that side; never enlarged."""
    small = image.copy()
    small.thumbnail((side_px_max, side_px_max), Image.Resampling.LANCZOS, reducing_gap=2.0)
    file = BytesIO()
    small.save(file, "JPEG", quality=JPEG_QUALITY)
    uri = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode('ascii')}"
    return Picture(uri, *small.size)
