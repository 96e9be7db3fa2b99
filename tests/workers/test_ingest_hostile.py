"""Whatever bytes a stranger sends, exactly one typed outcome comes back."""

import io
import struct
import zlib
from typing import get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from domain import case
from tests.workers.pictures import saved, scan
from workers.ingest import outcome as words
from workers.ingest.decode import decode
from workers.ingest.pipeline import Ingested, Refused, process
from workers.ingest.sniff import IMAGE_BYTES_MAX
from workers.pixels import load


def chunk(name: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(name + body))
    return struct.pack(">I", len(body)) + name + body + crc


def bomb(side: int) -> bytes:
    """A PNG of a few kilobytes whose header promises side x side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1_000_000), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def frames(kind: str) -> bytes:
    first, second = scan(), scan().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return saved(first, kind, save_all=True, append_images=[second], duration=100)


JPEG = saved(scan(), "JPEG", quality=85)
PNG = saved(scan(), "PNG")
WEBP = saved(scan(), "WEBP", lossless=True)

REFUSED = {
    "no bytes": (b"", "empty", None),
    "text": (b"Dear colleague, please see the attached scan." * 20, "not-an-image", "unknown"),
    "html": (b"<html><body>502</body></html>", "not-an-image", "unknown"),
    "a PDF": (b"%PDF-1.7\n%" + bytes(300), "unsupported-type", "pdf"),
    "a GIF": (saved(scan(), "GIF"), "unsupported-type", "gif"),
    "an AVIF": (b"\x00\x00\x00\x18ftypavif" + bytes(300), "unsupported-type", "avif"),
    "a TIFF": (saved(scan(), "TIFF"), "unsupported-type", "tiff"),
    "a BMP": (saved(scan(), "BMP"), "unsupported-type", "bmp"),
    "an SVG": (b'<?xml version="1.0"?><svg xmlns="x"/>', "unsupported-type", "svg"),
    "a zip": (b"PK\x03\x04" + bytes(300), "unsupported-type", "zip"),
    "an MP4": (b"\x00\x00\x00\x18ftypisom" + bytes(300), "unsupported-type", "video"),
    "a WebM": (b"\x1aE\xdf\xa3" + bytes(300), "unsupported-type", "video"),
    "an executable": (b"\x7fELF" + bytes(300), "unsupported-type", "other"),
    "too many bytes": (JPEG + bytes(IMAGE_BYTES_MAX), "too-large", None),
    "a bomb": (bomb(60_000), "too-many-pixels", None),
    "a bomb under the library's own limit": (bomb(8_000), "too-many-pixels", None),
    "one pixel": (saved(Image.new("L", (1, 1)), "PNG"), "too-small", None),
    "a strip": (saved(Image.new("L", (2000, 200)), "JPEG"), "too-small", None),
    "an animated PNG": (frames("PNG"), "animated", None),
    "an animated WebP": (frames("WEBP"), "animated", None),
    "a JPEG cut in the middle": (JPEG[: len(JPEG) // 2], "truncated", None),
    "a PNG cut in the middle": (PNG[: len(PNG) // 2], "truncated", None),
    "a WebP cut in the middle": (WEBP[: len(WEBP) // 2], "truncated", None),
    "a JPEG's first bytes": (JPEG[:4], "truncated", None),
    "a JPEG of nothing": (b"\xff\xd8\xff" + bytes(500) + b"\xff\xd9", "damaged", None),
    "a PNG with a wrong checksum": (PNG.replace(b"IDAT", b"IDAT\0", 1), "damaged", None),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_for_its_own_reason(name: str) -> None:
    data, reason, detected = REFUSED[name]
    assert process(data) == Refused("rejected", reason, detected)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [JPEG, PNG, WEBP], ids=["JPEG", "PNG", "WebP"])
def test_every_format_we_promise_is_accepted(data: bytes) -> None:
    assert isinstance(process(data), Ingested)


def test_the_stored_words_are_those_of_the_ledger() -> None:
    assert set(get_args(words.Reason)) <= set(get_args(case.Reason))
    assert set(get_args(words.Source)) == set(get_args(case.Source))


def test_a_sixteen_bit_picture_keeps_its_contrast() -> None:
    deep = np.asarray(scan(), np.uint16) * 16  # twelve bits used, as scanners do
    data = cv2.imencode(".png", deep)[1].tobytes()
    grey = decode(data, "PNG").rgb[..., 0].astype(int)
    assert len(np.unique(grey)) > 100
    assert np.corrcoef(grey.ravel(), deep.ravel())[0, 1] > 0.999
    assert isinstance(process(data), Ingested)


def test_colour_models_of_print_shops_are_understood() -> None:
    outcome = process(saved(scan().convert("RGB").convert("CMYK"), "JPEG", quality=95))
    plain = process(saved(scan(), "JPEG", quality=95))
    assert isinstance(outcome, Ingested)
    assert isinstance(plain, Ingested)
    assert np.abs(load(outcome.derivative).mean() - load(plain.derivative).mean()) < 3


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparency_lies_on_black(mode: str) -> None:
    layer = scan().convert("RGBA")
    layer.putalpha(scan().point(lambda grey: 255 if grey else 0))
    white_behind = Image.composite(layer, Image.new("RGBA", layer.size, (255, 255, 255, 0)), layer)
    data = saved(white_behind.convert(mode), "PNG")
    assert decode(data, "PNG").rgb[0, 0].tolist() == [0, 0, 0]
    assert isinstance(process(data), Ingested)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_however_the_camera_was_held(orientation: int) -> None:
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = scan() if orientation == 1 else scan().transpose(turned[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "WEBP"):
        data = saved(image, kind, lossless=True, exif=exif)
        upright = process(data)
        assert isinstance(upright, Ingested)
        assert upright.pixel_sha256 == process(PNG).pixel_sha256  # type: ignore[union-attr]


def test_no_metadata_reaches_the_derivative() -> None:
    exif = Image.Exif()
    exif[0x010F] = "TEST CAMERA 0042"
    exif[0x9286] = "TEST PATIENT 0042"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 3: "E", 4: (2.0, 17.0, 40.0)})
    outcome = process(saved(scan(), "JPEG", exif=exif, comment=b"TEST PATIENT 0042"))
    assert isinstance(outcome, Ingested)
    assert outcome.source == "screen-photo"
    chunks = (b"eXIf", b"tEXt", b"iTXt", b"zTXt", b"tIME", b"pHYs", b"iCCP")
    assert not any(name in outcome.derivative for name in chunks)
    assert b"TEST" not in outcome.derivative
    with Image.open(io.BytesIO(outcome.derivative)) as image:
        image.load()
        assert image.info == {}
        assert not image.getexif()


def test_broken_metadata_does_not_cost_the_picture() -> None:
    outcome = process(saved(scan(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert isinstance(outcome, Ingested)


def test_what_is_appended_to_a_picture_is_left_behind() -> None:
    outcome = process(PNG + b"PK\x03\x04 TEST PATIENT 0042")
    assert isinstance(outcome, Ingested)
    assert outcome == process(PNG)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([b"", JPEG[:3], PNG[:33], WEBP[:16], b"%PDF"]))
def test_random_bytes_get_one_typed_outcome(noise: bytes, start: bytes) -> None:
    assert isinstance(process(start + noise), Refused)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([JPEG, PNG, WEBP]),
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=12),
    st.integers(0, 400),
)
def test_a_mutated_picture_gets_one_typed_outcome(
    data: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mutated = bytearray(data[: len(data) - cut])
    for position, value in changes:
        mutated[position % len(mutated)] = value
    assert isinstance(process(bytes(mutated)), Ingested | Refused)
