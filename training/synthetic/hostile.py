"""What people and attackers send that is no scan: a table of kinds, each a file made from chance."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from PIL import Image

from training.screen import Canvas

TOO_MANY_PIXELS_SIDE: Final = 12_000
TELEGRAM_BYTES_MAX: Final = 20 * 2**20
SIDE_PX: Final = 640


class File(NamedTuple):
    """A file as sent; its name may lie about its type."""

    name: str
    data: bytes


def make(kind: str, rng: Generator) -> File:
    """One file of a kind of `KINDS`."""
    return KINDS[kind](rng)


def _saved(canvas: Canvas, format_: str, **options: object) -> bytes:
    out = BytesIO()
    Image.fromarray(canvas).save(out, format_, **options)
    return out.getvalue()


def _blank(level: int = 0) -> Canvas:
    return np.full((SIDE_PX, SIDE_PX, 3), level, np.uint8)


def _noise(rng: Generator) -> Canvas:
    return rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)


def _blurred(rng: Generator, sigma: float) -> Canvas:
    return cv2.GaussianBlur(_noise(rng), (0, 0), sigma).astype(np.uint8)


def ecg(rng: Generator) -> File:
    """Paper with a grid and four leads."""
    paper = _blank(245)
    paper[::16], paper[:, ::16] = (250, 190, 190), (250, 190, 190)
    x, beat = np.arange(SIDE_PX), rng.uniform(70, 130)
    for lead in range(4):
        spikes = np.exp(-(((x % beat) - beat / 2) ** 2) / 12) * 60
        y = (120 + 140 * lead - spikes + rng.normal(0, 1.5, SIDE_PX)).astype(int)
        cv2.polylines(paper, [np.stack([x, y], 1).astype(np.int32)], False, (30, 30, 60), 2)
    return File("ecg.jpg", _saved(paper, "JPEG", quality=85))


def ct(rng: Generator) -> File:
    """A computed tomogram: bright bone around flat brain."""
    canvas, middle = _blank(), (SIDE_PX // 2, SIDE_PX // 2)
    cv2.ellipse(canvas, middle, (210, 260), 0, 0, 360, (255,) * 3, -1)
    cv2.ellipse(canvas, middle, (190, 240), 0, 0, 360, (105,) * 3, -1)
    cv2.ellipse(canvas, (300, 300), (18, 50), 10, 0, 360, (40,) * 3, -1)
    cv2.ellipse(canvas, (345, 300), (18, 50), -10, 0, 360, (40,) * 3, -1)
    grain = rng.normal(0, 6, canvas.shape[:2])[..., None] * (canvas > 0)
    return File("ct.jpg", _saved((canvas + grain).clip(0, 255).astype(np.uint8), "JPEG"))


def chest(rng: Generator) -> File:
    """Two dark lungs, ribs, a bright heart."""
    canvas = _blank(150)
    for x in (190, 450):
        cv2.ellipse(canvas, (x, 320), (120, 230), 0, 0, 360, (45,) * 3, -1)
    for y in range(120, 560, 55):
        cv2.ellipse(canvas, (320, y), (270, 70), 0, 200, 340, (95,) * 3, 7)
    cv2.ellipse(canvas, (360, 400), (110, 130), 20, 0, 360, (190,) * 3, -1)
    soft = cv2.GaussianBlur(canvas, (0, 0), 5) + rng.normal(0, 4, canvas.shape)
    return File("chest.jpg", _saved(soft.clip(0, 255).astype(np.uint8), "JPEG"))


def page(rng: Generator) -> File:
    """A page of text that names nobody."""
    canvas = _blank(250)
    for y in range(40, SIDE_PX - 20, 26):
        line = f"Demo report line {rng.integers(1000)}: no acute finding, test patient"
        cv2.putText(canvas, line, (24, y), (25, 25, 25), cv2.FontFace("sans"), 16, 400)
    return File("report.png", _saved(canvas, "PNG"))


def room(rng: Generator) -> File:
    """A blurred photo of nothing."""
    return File("room.jpg", _saved(_blurred(rng, 25), "JPEG"))


def noise(rng: Generator) -> File:
    return File("noise.png", _saved(_noise(rng)[:256, :256], "PNG"))


def black(rng: Generator) -> File:
    return File("black.jpg", _saved(_blank(), "JPEG"))


def tiny(rng: Generator) -> File:
    return File("tiny.png", _saved(_blank()[:1, :1], "PNG"))


def bomb(rng: Generator) -> File:
    """A few kilobytes whose header promises a picture of hundreds of megabytes."""
    side = TOO_MANY_PIXELS_SIDE
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(2**20), 9)
    parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    return File("scan.png", b"\x89PNG\r\n\x1a\n" + parts)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def truncated(rng: Generator) -> File:
    data = room(rng).data
    return File("photo.jpg", data[: int(len(data) * rng.uniform(0.3, 0.8))])


def with_archive(rng: Generator) -> File:
    """A picture with an archive behind its end."""
    return File("scan.png", noise(rng).data + b"PK\x03\x04" + rng.bytes(200))


def animated(rng: Generator) -> File:
    frames = [Image.fromarray(_noise(rng)[:96, :96]) for _ in range(2)]
    out = BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return File("scroll.gif", out.getvalue())


def heic(rng: Generator) -> File:
    """A header as phones write it, and nothing that can be decoded."""
    return File("IMG_0042.heic", struct.pack(">I", 24) + b"ftypheic" + bytes(12) + rng.bytes(900))


def empty(rng: Generator) -> File:
    return File("empty.jpg", b"")


def wrong_extension(rng: Generator) -> File:
    return File("scan.jpg", b"%PDF-1.7\n" + rng.bytes(400))


def svg(rng: Generator) -> File:
    size = rng.integers(100, 900)
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg"><circle r="{size}"/></svg>'
    return File("scan.svg", drawn.encode())


def too_large(rng: Generator) -> File:
    """More bytes than the messenger's bots may fetch."""
    return File("study.png", noise(rng).data + bytes(TELEGRAM_BYTES_MAX))


def cmyk(rng: Generator) -> File:
    out = BytesIO()
    Image.fromarray(_blank(120)).convert("CMYK").save(out, "JPEG")
    return File("print.jpg", out.getvalue())


def sixteen_bit(rng: Generator) -> File:
    levels = rng.integers(0, 4096, (256, 256), np.uint16)
    return File("raw.png", cv2.imencode(".png", levels)[1].tobytes())


def progressive(rng: Generator) -> File:
    return File("room.jpg", _saved(_blurred(rng, 9), "JPEG", progressive=True))


def oriented(rng: Generator) -> File:
    """Not upright, as its EXIF says."""
    exif = Image.Exif()
    exif[0x0112] = int(rng.integers(1, 9))
    return File("phone.jpg", _saved(_blank(90)[:400], "JPEG", exif=exif))


Make = Callable[[Generator], File]
NEGATIVES: Final[dict[str, Make]] = {
    "ecg": ecg,
    "ct": ct,
    "chest-x-ray": chest,
    "page-of-text": page,
    "room": room,
    "noise": noise,
    "all-black": black,
}
"""Pictures, but not of a head in a magnetic-resonance scanner."""

HOSTILE: Final[dict[str, Make]] = {
    "one-pixel": tiny,
    "too-many-pixels": bomb,
    "truncated": truncated,
    "trailing-archive": with_archive,
    "animated": animated,
    "heic": heic,
    "empty": empty,
    "wrong-extension": wrong_extension,
    "svg": svg,
    "cmyk": cmyk,
    "sixteen-bit": sixteen_bit,
    "progressive": progressive,
    "exif-orientation": oriented,
}
LARGE: Final[dict[str, Make]] = {"too-many-bytes": too_large}
"""Not drawn by chance: it fills disks."""

KINDS: Final[dict[str, Make]] = NEGATIVES | HOSTILE | LARGE
DRAWN: Final = tuple(NEGATIVES | HOSTILE)
