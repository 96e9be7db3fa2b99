"""Good pictures pass, unreadable ones do not, and the same bytes always give the same outcome."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.synth import case
from workers.ingest import recognise, steps, text, text_lines
from workers.ingest.pipeline import CURRENT, PROFILE, PROFILE_STEPS, Ingested, Refused, process
from workers.pixels import load


@cache
def images() -> list[tuple[str, bytes]]:
    return [(image.channel, image.data) for seed in range(600, 616) for image in case(seed).images]


def pixels(data: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def as_jpeg(picture: NDArray[np.uint8], quality: int = 85) -> bytes:
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()


def blurred(data: bytes, share_of_head: float) -> bytes:
    """Out of focus by a Gaussian whose sigma is this share of the head's height."""
    outcome = process(data)
    assert isinstance(outcome, Ingested)
    tallest = max(height for _, _, _, height in outcome.head)
    return as_jpeg(cv2.GaussianBlur(pixels(data), (0, 0), share_of_head * tallest))


def distance(one: Ingested | Refused, other: Ingested | Refused) -> int:
    """How many bits of two perceptual hashes differ."""
    assert isinstance(one, Ingested)
    assert isinstance(other, Ingested)
    return (int(one.phash, 16) ^ int(other.phash, 16)).bit_count()


@pytest.mark.parametrize("channel", ["screenshot", "screen-photo"])
def test_what_a_clinician_sends_passes_the_gate_and_its_source_is_guessed(channel: str) -> None:
    outcomes = [process(data) for name, data in images() if name == channel]
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Ingested)]
    assert len(accepted) == len(outcomes) >= 10
    right = [outcome.source == channel for outcome in accepted]
    assert sum(right) >= 0.85 * len(right)


@pytest.mark.parametrize("channel", ["screenshot", "screen-photo"])
def test_a_picture_out_of_focus_is_refused(channel: str) -> None:
    sharp = [data for name, data in images() if name == channel][:6]
    outcomes = [process(blurred(data, 0.016)) for data in sharp]
    assert outcomes == [Refused("rejected", "too-blurred")] * len(sharp)


def test_low_contrast_is_not_taken_for_blur() -> None:
    dim = as_jpeg((pixels(images()[0][1]) * 0.4).astype(np.uint8), 95)
    assert isinstance(process(dim), Ingested)


def test_a_head_of_too_few_pixels_is_refused_and_a_small_one_is_warned_of() -> None:
    picture = next(pixels(data) for name, data in images() if name == "screenshot")
    outcome = process(as_jpeg(picture, 95))
    assert isinstance(outcome, Ingested)
    for head_px, expected in ((80, "rejected"), (130, "small-head")):
        scale = head_px / outcome.quality["head_px"]
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        framed = cv2.copyMakeBorder(small, 90, 90, 90, 90, cv2.BORDER_CONSTANT)
        result = process(as_jpeg(framed, 95))
        if expected == "rejected":
            assert result == Refused("rejected", "head-too-small")
        else:
            assert isinstance(result, Ingested)
            assert expected in result.warnings


def test_a_huge_picture_is_reduced() -> None:
    picture = cv2.resize(pixels(images()[0][1]), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    outcome = process(as_jpeg(picture, 95))
    assert isinstance(outcome, Ingested)
    assert max(outcome.width, outcome.height) <= steps.SIDE_PX_MAX


def test_a_recompressed_copy_is_recognised_and_another_patient_is_not() -> None:
    first, second = (process(data) for _, data in (images()[0], images()[-1]))
    copy = cv2.resize(pixels(images()[0][1]), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    assert distance(process(as_jpeg(copy, 70)), first) <= 6
    assert distance(first, second) > 6


def test_the_outcome_describes_its_derivative() -> None:
    for _, data in images()[:5]:
        outcome = process(data)
        assert isinstance(outcome, Ingested)
        gray = load(outcome.derivative)
        assert outcome.sha256 == sha256(outcome.derivative).hexdigest()
        shape = f"{gray.shape[0]}x{gray.shape[1]}|uint8|".encode()
        assert outcome.pixel_sha256 == sha256(shape + gray.tobytes()).hexdigest()
        assert len(outcome.phash) == 16
        assert all(isinstance(value, int) for value in outcome.quality.values())


def test_the_same_bytes_give_the_same_outcome_on_any_number_of_threads() -> None:
    before = cv2.getNumThreads()
    data = [data for _, data in images()[:6]]
    try:
        cv2.setNumThreads(1)
        alone = [process(one) for one in data]
        cv2.setNumThreads(2)
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(process, data)) == alone
    finally:
        cv2.setNumThreads(before)


def test_the_same_bytes_give_the_same_outcome_in_another_process() -> None:
    program = (
        "import sys; from workers.ingest.pipeline import process;"
        "sys.stdout.write(process(sys.stdin.buffer.read()).sha256)"
    )
    data = images()[0][1]
    there = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True
    )
    here = process(data)
    assert isinstance(here, Ingested)
    assert there.stdout.decode() == here.sha256


NETS = (
    *map(text.stamp, (*text_lines.NETS, *text.DOUBTERS)),
    *map(recognise.stamp, ("page", "sequence")),
)
"""Of the profile of new images."""


def test_the_profile_names_every_step_its_version_and_every_net() -> None:
    versions = dict(step.split("@") for step in PROFILE_STEPS)
    nets = dict(net.split("@") for net in NETS)
    assert nets.items() <= versions.items()
    assert all(versions[name].isdigit() for name in versions.keys() - nets.keys())
    digest = sha256("|".join(PROFILE_STEPS).encode()).hexdigest()
    assert f"{CURRENT}:{digest[:12]}" == PROFILE
