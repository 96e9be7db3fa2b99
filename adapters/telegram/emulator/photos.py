"""What Telegram makes of a picture that was sent as a photo."""

import io
from typing import Any, TypeAlias

from PIL import Image, ImageOps

PHOTO_SIDES_PX = (90, 320, 800, 1280)  # the thumbnails of Telegram, s, m, x and y
JPEG_QUALITY = 85

Size: TypeAlias = tuple[int, int, bytes]  # width and height in pixels, JPEG

_UNREADABLE = (
    *(OSError, ValueError, SyntaxError),
    *(Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def image_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels as the file's header tells them; (0, 0) when not an image."""
    try:
        return Image.open(io.BytesIO(content)).size
    except _UNREADABLE:
        return 0, 0


def photo_sizes(content: bytes) -> list[Size]:
    """The sizes Telegram keeps of a photo, smallest first; [] when not an image.

    The largest side is at most 1280 px; orientation is applied and EXIF dropped, as clients do.
    """
    try:
        image: Any = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    except _UNREADABLE:
        return []
    longest = max(image.size)
    smaller = {side for side in PHOTO_SIDES_PX if side < longest}
    return [_jpeg(image, side) for side in sorted(smaller | {min(longest, PHOTO_SIDES_PX[-1])})]


def _jpeg(image: Image.Image, side: int) -> Size:
    scaled = image.copy()
    scaled.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    scaled.save(out, "JPEG", quality=JPEG_QUALITY)
    return scaled.width, scaled.height, out.getvalue()
