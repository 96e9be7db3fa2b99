"""Pictures that tests of ingest share: one that its gate knows as a brain, and an oval that is none."""

import io
from functools import cache

import cv2
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.phantom import Blob, Head, Plane, dwi_slice

HEIGHT_MM = 62.0
LESION = Blob(-30, 20, HEIGHT_MM, 9)
"""Off centre, so that turning shows."""


def scan(width: int = 400, height: int = 480) -> Image.Image:
    """A diffusion slice on black."""
    grey = cv2.resize(level(), (max(width, height),) * 2, interpolation=cv2.INTER_CUBIC)
    left, top = (max(height - width, 0) // 2, max(width - height, 0) // 2)
    shown = ((grey - 0.06).clip(0, 1) * 255).astype(np.uint8)
    return Image.fromarray(shown[top : top + height, left : left + width])


@cache
def level() -> Plane:
    """The slice as a scanner gives it."""
    rng = default_rng(0)
    return dwi_slice(Head.draw(rng), (LESION,), HEIGHT_MM, rng)


def oval(width: int = 400, height: int = 480) -> Image.Image:
    """Shaped like a head, with texture and an off-centre mark; no brain for the gate."""
    rng = np.random.default_rng(0)
    small = rng.integers(70, 190, (height // 4, width // 4), dtype=np.uint8)
    texture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    outline = Image.new("L", (width, height))
    box = (width * 0.16, height * 0.1, width * 0.84, height * 0.9)
    ImageDraw.Draw(outline).ellipse(box, 255)
    head = Image.composite(Image.fromarray(texture), Image.new("L", outline.size), outline)
    ImageDraw.Draw(head).ellipse((width * 0.3, height * 0.3, width * 0.4, height * 0.36), 250)
    return head


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """File bytes of a Pillow format."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def as_png(canvas: NDArray[np.uint8]) -> bytes:
    """File bytes of grey or RGB pixels."""
    rgb = canvas if canvas.ndim == 3 else np.repeat(canvas[..., None], 3, 2)
    return cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))[1].tobytes()
