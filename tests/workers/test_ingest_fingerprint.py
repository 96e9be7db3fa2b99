"""Fingerprints: the same picture in other clothes is near, another slice or head is not."""

from functools import cache
from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.synth import case
from workers.duplicates import bits_apart
from workers.ingest.fingerprint import fingerprint
from workers.ingest.outcome import Ingested
from workers.ingest.pipeline import process

PROFILE = "ingest-3"
Canvas = NDArray[np.uint8]


def pixels(data: bytes) -> Canvas:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def as_jpeg(picture: Canvas, quality: int = 85) -> bytes:
    return cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes()


def taken(data: bytes) -> tuple[int, ...]:
    outcome = process(data, PROFILE)
    assert isinstance(outcome, Ingested)
    assert len(outcome.fingerprints) == len(outcome.head)
    return tuple(int(each, 16) for each in outcome.fingerprints)


def alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return any(bits_apart(a, b) is not None for a in one for b in other)


def recompressed(picture: Canvas) -> bytes:
    small = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    return as_jpeg(np.asarray(small, np.uint8), 70)


def cropped(picture: Canvas) -> bytes:
    height, width = picture.shape[0] // 30, picture.shape[1] // 30
    return as_jpeg(picture[height:-height, width:-width])


def darkened(picture: Canvas) -> bytes:
    return as_jpeg((255 * (picture / 255) ** 1.3).astype(np.uint8))


@cache
def originals() -> list[bytes]:
    return [case(seed).images[0].data for seed in range(810, 820)]


@pytest.mark.parametrize("change", [recompressed, cropped, darkened])
def test_the_same_picture_in_other_clothes_is_a_near_duplicate(change) -> None:  # type: ignore[no-untyped-def]
    for data in originals()[:4]:
        assert alike(taken(data), taken(change(pixels(data))))


def test_other_heads_are_no_near_duplicates() -> None:
    found = [taken(data) for data in originals()]
    assert not any(alike(one, other) for one, other in combinations(found, 2))


def test_other_slices_of_a_head_are_no_near_duplicates() -> None:
    slices = [taken(image.data) for image in case(11, mode="easy").images]
    assert len(slices) > 1
    assert not any(alike(one, other) for one, other in combinations(slices, 2))


def test_a_head_of_one_grey_has_a_fingerprint_too() -> None:
    assert len(fingerprint(np.full((100, 100), 9, np.uint8))) == 64
