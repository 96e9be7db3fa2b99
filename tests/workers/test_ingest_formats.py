"""HEIC and DICOM: read where their extras are installed, by the same path, and nobody's name comes along."""

import sys
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    RLELossless,
)

from tests.workers.pictures import oval, saved, scan
from workers.ingest.decode import decode
from workers.ingest.outcome import Examined, Pixels, Reason
from workers.ingest.pipeline import Ingested, Refused, look, process, read
from workers.ingest.sandbox import Sandbox
from workers.ingest.sniff import EXTRAS
from workers.ingest.specimens import dicom_file

DATA = Path(__file__).parents[1] / "data"
HEAD, TURNED, TWO = (DATA / f"{name}.heic" for name in ("head", "turned", "two"))
"""Drawn as `scan`; `turned` lies on its side in the file and is by a camera, `two` holds two pictures.

Written once with pillow-heif 1.8.1, whose encoder x265 is GPL, and so nothing we install.
"""

WITHOUT_GATE = "ingest-2"
"""In which an `oval` may be a head."""

TWELVE_BITS = np.asarray(scan(), np.uint16) * 16
PLAIN = dicom_file(TWELVE_BITS, ExplicitVRLittleEndian)
GOLDEN = "b159db7f12d23ab3eb7ae4664f85b6f56641c2af3bdd755cc552468a7d896081"
"""The pixels that `oval` had left before HEIC and DICOM were read."""

SECRETS = ("TESTOV^IVAN", "IVANOVA^ANNA", "0042-SECRET", "19450209", "HOSPITAL 17", "ep2d_Testov")


def alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Correlation of two pictures."""
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])


def shown(data: bytes) -> NDArray[np.uint8]:
    return decode(data, "DICOM").rgb[..., 0]


def stored(values: list[int], **elements: object) -> NDArray[np.uint8]:
    """How five values of a DICOM file are shown, each a broad stripe."""
    stripes = np.repeat(np.array(values, np.int16), 128)[None].repeat(640, 0)
    return shown(dicom_file(stripes, ExplicitVRLittleEndian, **elements))[320, 64::128]


# HEIC


def test_a_heic_picture_is_ingested_as_any_other() -> None:
    picture = decode(HEAD.read_bytes(), "HEIF")
    assert alike(picture.rgb[..., 0], np.asarray(scan())) > 0.97
    assert not picture.by_camera
    assert isinstance(process(HEAD.read_bytes()), Ingested)


def test_a_heic_photo_is_upright_and_by_a_camera() -> None:
    picture = decode(TURNED.read_bytes(), "HEIF")
    assert alike(picture.rgb[..., 0], np.asarray(scan())) > 0.97
    assert picture.by_camera
    assert b"TEST CAMERA" in TURNED.read_bytes()
    assert b"TEST CAMERA" not in msgspec.msgpack.encode(read(TURNED.read_bytes()))


HEIC_REFUSED: dict[str, tuple[bytes, Reason]] = {
    "two pictures": (TWO.read_bytes(), "animated"),
    "the first half": (HEAD.read_bytes()[:5000], "truncated"),
    "a header": (HEAD.read_bytes()[:24], "truncated"),
    "no word on how it is coded": (HEAD.read_bytes().replace(b"hvcC", b"xxxx"), "damaged"),
}


@pytest.mark.parametrize("name", HEIC_REFUSED)
def test_a_heic_file_that_cannot_be_used_is_refused(name: str) -> None:
    data, reason = HEIC_REFUSED[name]
    assert process(data) == Refused("rejected", reason)


# DICOM


def test_a_dicom_frame_is_ingested_as_any_other() -> None:
    assert isinstance(process(PLAIN), Ingested)


def test_every_way_to_write_a_frame_shows_the_same() -> None:
    grey = np.asarray(scan(), np.uint8)
    lossy, lossless = (cv2.imencode(suffix, grey)[1].tobytes() for suffix in (".jpg", ".jp2"))
    plain = shown(dicom_file(grey, ExplicitVRLittleEndian))
    for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless):
        assert np.array_equal(shown(dicom_file(grey, syntax)), plain)
    assert np.abs(shown(dicom_file(grey, JPEG2000Lossless, lossless)) - plain.astype(int)).max() < 9
    assert alike(shown(dicom_file(grey, JPEGBaseline8Bit, lossy)), plain) > 0.99


def test_a_window_says_what_is_black_and_what_is_white() -> None:
    window = {"WindowCenter": 100, "WindowWidth": 101}
    assert stored([0, 50, 100, 150, 999], **window).tolist() == [0, 1, 128, 255, 255]


def test_of_several_windows_the_first_is_taken() -> None:
    windows = {"WindowCenter": [100, 5], "WindowWidth": [101, 3]}
    assert stored([0, 50, 100, 150, 999], **windows).tolist() == [0, 1, 128, 255, 255]


def test_stored_values_are_rescaled_before_they_are_windowed() -> None:
    scale = {"RescaleSlope": 2, "RescaleIntercept": -1000}
    window = {"WindowCenter": 100, "WindowWidth": 101}
    grey = stored([500, 525, 550, 575, 600], **scale, **window)
    assert grey.tolist() == [0, 1, 128, 255, 255]


def test_without_a_window_the_range_in_use_is_shown() -> None:
    assert stored([-2000, -1000, 0, 1000, 2000]).tolist() == [0, 63, 127, 191, 255]


def test_monochrome1_has_white_for_its_least() -> None:
    grey = stored([-2000, -1000, 0, 1000, 2000], PhotometricInterpretation="MONOCHROME1")
    assert grey.tolist() == [255, 192, 128, 64, 0]


@pytest.mark.parametrize(
    "window", [{"WindowWidth": 0}, {"WindowWidth": "-5"}, {"WindowCenter": ""}]
)
def test_a_window_that_is_none_is_left_out(window: dict[str, Any]) -> None:
    both = {"WindowCenter": 100, "WindowWidth": 101} | window
    assert stored([-2000, -1000, 0, 1000, 2000], **both).tolist() == [0, 63, 127, 191, 255]


def test_a_matrix_as_acquired_is_enlarged_and_pixels_are_square() -> None:
    small = np.asarray(scan(128, 144), np.uint16) * 16
    assert shown(dicom_file(small, ExplicitVRLittleEndian)).shape == (576, 512)
    flat = dicom_file(small, ExplicitVRLittleEndian, PixelSpacing=[2.0, 1.0])
    assert shown(flat).shape == (1152, 512)
    absurd = dicom_file(small, ExplicitVRLittleEndian, PixelSpacing=[1e9, 1e-9])
    assert shown(absurd).shape == (576, 512)
    assert isinstance(process(dicom_file(small, ExplicitVRLittleEndian)), Ingested)


def test_a_coloured_frame_keeps_its_colours() -> None:
    red = np.zeros((640, 640, 3), np.uint8)
    red[..., 0] = 200
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    data = dicom_file(red[..., 0], ExplicitVRLittleEndian, **colour, PixelData=red.tobytes())
    assert decode(data, "DICOM").rgb[9, 9].tolist() == [200, 0, 0]


def frames(number: int) -> bytes:
    pixels = TWELVE_BITS.tobytes() * number
    return dicom_file(TWELVE_BITS, ExplicitVRLittleEndian, NumberOfFrames=number, PixelData=pixels)


DICOM_REFUSED: dict[str, tuple[bytes, Reason, str | None]] = {
    "several frames": (frames(3), "animated", None),
    "no picture": (dicom_file(TWELVE_BITS, ExplicitVRLittleEndian, Rows=None), "damaged", None),
    "a stamp": (dicom_file(TWELVE_BITS[:32, :32], ExplicitVRLittleEndian), "too-small", None),
    "40,000 x 40,000": (
        dicom_file(TWELVE_BITS, ExplicitVRLittleEndian, Rows=40_000, Columns=40_000),
        "too-many-pixels",
        None,
    ),
    "fewer pixels than told": (
        dicom_file(TWELVE_BITS, ExplicitVRLittleEndian, Rows=4_000),
        "truncated",
        None,
    ),
    "a beginning": (PLAIN[:600], "truncated", None),
    "words for a number": (
        PLAIN.replace(b"\x28\0\2\0US\2\0\1\0", b"\x28\0\2\0LO\2\0ab"),
        "damaged",
        None,
    ),
    "a number of 341 bytes": (PLAIN[:138] + b"\x55\x01" + PLAIN[140:], "damaged", None),
    "deflated": (
        dicom_file(TWELVE_BITS, DeflatedExplicitVRLittleEndian),
        "unsupported-type",
        "dicom",
    ),
    "lossless JPEG": (
        dicom_file(TWELVE_BITS, JPEGLossless, b"\xff\xd8"),
        "unsupported-type",
        "dicom",
    ),
    "a palette": (
        dicom_file(TWELVE_BITS, ExplicitVRLittleEndian, PhotometricInterpretation="PALETTE COLOR"),
        "unsupported-type",
        "dicom",
    ),
    "nothing but a mark": (bytes(128) + b"DICM" + bytes(300), "unsupported-type", "dicom"),
}


@pytest.mark.parametrize("name", DICOM_REFUSED)
def test_a_dicom_file_that_cannot_be_used_is_refused(name: str) -> None:
    data, reason, detected = DICOM_REFUSED[name]
    assert process(data) == Refused("rejected", reason, detected)  # type: ignore[arg-type]


def personal() -> bytes:
    """A frame full of what must not leave, also where words of the standard belong."""
    return dicom_file(
        TWELVE_BITS,
        ExplicitVRLittleEndian,
        PatientName=SECRETS[0],
        ReferringPhysicianName=SECRETS[1],
        PatientID=SECRETS[2],
        PatientBirthDate=SECRETS[3],
        InstitutionName=SECRETS[4],
        SequenceName=SECRETS[5],
        ScanningSequence=SECRETS[0],
        Modality="MR",
        MRAcquisitionType="2D",
        SliceThickness="5.0",
        EchoTime=91.0,
        RepetitionTime=SECRETS[3],
    )


def test_only_technical_numbers_and_words_of_the_standard_leave_the_decoder() -> None:
    pixels = read(personal())
    assert isinstance(pixels, Pixels)
    assert pixels.technical == {
        "modality": "MR",
        "acquisition": "2D",
        "slice_thickness_mm": 5.0,
        "echo_time_ms": 91.0,
    }
    seen = look(pixels)
    assert isinstance(seen.outcome, Ingested)
    assert seen.technical == pixels.technical
    assert all(secret.encode() in personal() for secret in SECRETS)
    told = msgspec.msgpack.encode(pixels) + msgspec.msgpack.encode(seen)
    assert [secret for secret in SECRETS if secret.encode() in told] == []


# Both


async def test_the_confined_processes_read_them_too() -> None:
    grey = np.asarray(scan(), np.uint8)
    jpeg = dicom_file(grey, JPEGBaseline8Bit, cv2.imencode(".jpg", grey)[1].tobytes())
    files = [HEAD.read_bytes(), TURNED.read_bytes(), PLAIN, dicom_file(grey, RLELossless), jpeg]
    async with Sandbox() as sandbox:
        outcomes = [await sandbox.process(data) for data in files]
    assert outcomes == [process(data) for data in files]
    assert all(isinstance(outcome, Ingested) for outcome in outcomes)


async def test_a_heic_file_that_ends_its_process_is_refused_and_the_next_one_is_read() -> None:
    whole = TURNED.read_bytes()
    place = whole.index(b"Exif", whole.index(b"iinf"))
    wicked = whole[:place] + b"\xff\xfe\xff\xfe" + whole[place + 4 :]
    async with Sandbox() as sandbox:
        assert await sandbox.process(wicked) == Refused("rejected", "decoder-failed")
        again = await sandbox.process(whole)
    assert again == process(whole)
    assert isinstance(again, Ingested)


@pytest.mark.parametrize(("name", "data"), [("heic", HEAD.read_bytes()), ("dicom", PLAIN)])
async def test_without_its_extra_a_type_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
) -> None:
    monkeypatch.setitem(sys.modules, EXTRAS[name].library, None)  # type: ignore[index, arg-type]
    refused = Refused("rejected", "unsupported-type", name)  # type: ignore[arg-type]
    assert process(data) == refused
    async with Sandbox(children=0) as sandbox:
        assert await sandbox.examine(data) == Examined(refused)


def test_what_is_read_besides_does_not_change_what_was_read_before() -> None:
    files = saved(oval(), "PNG"), saved(oval(), "WEBP", lossless=True)
    made = [process(data, WITHOUT_GATE) for data in files]
    assert {one.pixel_sha256 for one in made if isinstance(one, Ingested)} == {GOLDEN}
