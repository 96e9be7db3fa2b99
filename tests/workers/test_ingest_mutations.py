"""Files of every type, changed in every way, through confined processes: one outcome each."""

import asyncio
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.workers.pictures import saved, scan
from workers.ingest.outcome import Examined, Ingested, Pixels, Refused
from workers.ingest.sandbox import DECODER_FAILED, FAILURES, Act, Answer, Child
from workers.ingest.specimens import dicom_file

SMALL = scan(256, 288)
GREY = np.asarray(SMALL, np.uint8)
JPEG_FRAME, JP2_FRAME = (cv2.imencode(suffix, GREY)[1].tobytes() for suffix in (".jpg", ".jp2"))
SEEDS = [
    saved(SMALL, "JPEG", quality=60),
    saved(SMALL.convert("CMYK"), "JPEG", quality=60, progressive=True),
    saved(SMALL, "PNG"),
    saved(SMALL.convert("P"), "PNG"),
    saved(SMALL, "WEBP", quality=60),
    saved(SMALL, "WEBP", lossless=True),
    *(
        (Path(__file__).parents[1] / "data" / name).read_bytes()
        for name in ("turned.heic", "two.heic")
    ),
    dicom_file(GREY, ExplicitVRLittleEndian, WindowCenter=100, WindowWidth=90),
    dicom_file(GREY, ImplicitVRLittleEndian, PatientName="TESTOV^IVAN"),
    dicom_file(GREY, RLELossless),
    dicom_file(GREY, JPEGBaseline8Bit, JPEG_FRAME),
    dicom_file(GREY, JPEG2000Lossless, JP2_FRAME),
]

HEADER_BYTES = 600
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

places = st.integers(0, 2**20)
edits = st.one_of(
    st.tuples(st.just("byte"), places, st.integers(0, 255)),
    st.tuples(st.just("bit"), places, st.integers(0, 7)),
    st.tuples(st.just("header"), st.integers(0, HEADER_BYTES), st.sampled_from(EDGES)),
    st.tuples(st.just("cut"), places, st.just(0)),
    st.tuples(st.just("drop"), places, st.integers(1, 64)),
    st.tuples(st.just("repeat"), places, st.integers(1, 4096)),
    st.tuples(st.just("splice"), places, st.integers(0, len(SEEDS) - 1)),
)


def edited(data: bytes, how: str, place: int, value: int) -> bytes:
    """One change; places beyond the end count from the start again."""
    at = place % max(len(data), 1)
    match how:
        case "byte":
            return data[:at] + bytes([value]) + data[at + 1 :]
        case "bit":
            return data[:at] + bytes([(data[at] if data else 0) ^ 1 << value]) + data[at + 1 :]
        case "header":
            word = struct.pack("<I" if value % 2 else ">I", value)
            return data[:at] + word + data[at + 4 :]
        case "cut":
            return data[:at]
        case "drop":
            return data[:at] + data[at + value :]
        case "repeat":
            return data[:at] + data[at : at + value] * 2 + data[at + value :]
        case _:
            return data[:at] + SEEDS[value][at:]


def with_right_checksums(png: bytes) -> bytes:
    """A PNG's chunks with their CRCs made right, so that changes get past them."""
    mended, position = png[:8], 8
    while position + 12 <= len(png):
        length = min(int.from_bytes(png[position : position + 4], "big"), len(png) - position - 12)
        body = png[position + 4 : position + 8 + length]
        mended += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        position += 12 + length
    return mended + png[position:]


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A seed after one to six changes."""
    data = draw(st.sampled_from(SEEDS))
    for change in draw(st.lists(edits, min_size=1, max_size=6)):
        data = edited(data, *change)
    is_png = data.startswith(b"\x89PNG\r\n\x1a\n")
    return with_right_checksums(data) if is_png and draw(st.booleans()) else data


def tolerated(data: bytes) -> Examined | None:
    """HEIC's library reads from nowhere when a type is no UTF-8; that ends its process, and no more."""
    return Examined(DECODER_FAILED) if data[4:8] == b"ftyp" else None


class Confined:
    """Both halves of the pipeline in two processes that must outlive every file but HEIC."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.children = {act: self.started(act) for act in ("read", "look")}

    def started(self, act: Act) -> Child:
        return self.loop.run_until_complete(Child.start(act, cpu_seconds_max=5))

    def stop(self) -> None:
        for child in self.children.values():
            self.loop.run_until_complete(child.stop())
        self.loop.close()

    def ask(self, act: Act, message: bytes) -> Answer:
        """An answer, and no failure; who failed is replaced, so that the file alone is to blame."""
        answer = self.loop.run_until_complete(self.children[act].answer(message, 60))
        if answer in FAILURES:
            self.loop.run_until_complete(self.children[act].stop())
            self.children[act] = self.started(act)
        assert answer not in FAILURES or answer == tolerated(message)
        return answer

    def process(self, data: bytes) -> Ingested | Refused:
        read = self.ask("read", data)
        if isinstance(read, Pixels):
            read = self.ask("look", b"\0" + msgspec.msgpack.encode(read))
        assert isinstance(read, Examined)
        return read.outcome


@pytest.fixture(scope="module")
def confined() -> Iterator[Confined]:
    both = Confined()
    yield both
    both.stop()


def test_the_seeds_themselves_are_pictures(confined: Confined) -> None:
    outcomes = [confined.process(data) for data in SEEDS]
    refused = [one.reason for one in outcomes if isinstance(one, Refused)]
    assert set(refused) <= {"animated", "text-remains", "text-covers-head", "not-recognised"}
    assert refused.count("animated") == 1


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations())
def test_a_changed_file_gets_one_outcome(confined: Confined, data: bytes) -> None:
    assert isinstance(confined.process(data or b"\0"), Ingested | Refused)


@pytest.mark.long
@settings(max_examples=5_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutations())
def test_thousands_of_changed_files_get_one_outcome_each(confined: Confined, data: bytes) -> None:
    assert isinstance(confined.process(data or b"\0"), Ingested | Refused)
