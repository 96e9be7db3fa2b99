"""Text on the head is blanked, anatomy is not, and what cannot be cleared for certain goes no further."""

import json
from functools import cache
from hashlib import sha256
from importlib.resources import files

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from PIL import Image

from tests.workers.pictures import scan
from training.overlays import camera, viewers
from training.overlays.viewers import LAYOUTS, Shot, screen
from training.synth import case
from workers.ingest import anatomy, pipeline, text, text_lines
from workers.ingest.outcome import Examined, Ingested, Pixels, Refused
from workers.ingest.pipeline import look, named, process, read
from workers.ingest.session import BadNet
from workers.pixels import load


@cache
def clean() -> list[bytes]:
    return [image.data for seed in range(900, 908) for image in case(seed).images]


def shot(number: int) -> Shot:
    """A screen whose fonts and layout the nets were not trained on."""
    rng = default_rng([41, number])
    layouts = list(LAYOUTS["test"].values())
    return screen("test", layouts[number % len(layouts)], rng)


def in_colour(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB")).copy()


def pixels_of(canvas: NDArray[np.uint8]) -> Pixels:
    return Pixels(*canvas.shape[:2], canvas.tobytes(), False, {})


@pytest.mark.parametrize("number", range(4))
def test_text_on_the_head_is_blanked(number: int) -> None:
    drawn = shot(number)
    mask = anatomy.find(drawn.canvas)
    found = text.find(drawn.canvas, mask)
    on_head = [n for n, line in enumerate(drawn.lines, 1) if line.on_head]
    left = [(mask & (1 - found))[drawn.ink == n].mean() for n in on_head]
    assert sum(share > 0.02 for share in left) <= 0.05 * len(left) + 0.5


@pytest.mark.parametrize("number", range(6))
def test_a_head_without_text_is_left_as_it_is(number: int) -> None:
    data = clean()[number]
    now, before = process(data), process(data, "ingest-1")
    assert isinstance(now, Ingested)
    assert isinstance(before, Ingested)
    assert now.quality["text"] <= 2
    if not now.quality["text"]:
        assert now.pixel_sha256 == before.pixel_sha256


def test_what_is_blanked_on_a_head_is_black_anatomy_and_does_not_divide_it() -> None:
    canvas = in_colour(scan(700, 700))
    cv2.putText(canvas, "TEST PATIENT 0042 Demo", (120, 360), 0, 1.2, (255, 255, 255), 2)
    examined = look(pixels_of(canvas))
    assert isinstance(examined.outcome, Ingested)
    assert len(examined.outcome.head) == 1
    assert "text-on-head" in examined.outcome.warnings
    assert examined.text
    x, y, w, h = examined.text[0]
    (left, top, *_), (x_kept, y_kept, *_) = examined.heads[0], examined.outcome.head[0]
    gray = load(examined.outcome.derivative)
    assert gray[y - top + y_kept + h // 2, x - left + x_kept + w // 2] == 1


def test_a_head_full_of_text_is_quarantined() -> None:
    canvas = in_colour(scan(700, 700))
    for row in range(120, 600, 26):
        cv2.putText(canvas, "TEST PATIENT 0042 TEST 77", (130, row), 0, 0.8, (255, 255, 255), 2)
    examined = look(pixels_of(canvas))
    assert examined.outcome == Refused("quarantined", "text-covers-head")
    assert examined.quality["text"] > 200
    assert examined.text


def test_what_the_second_net_still_sees_is_quarantined(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = in_colour(scan(700, 700))
    cv2.putText(canvas, "TEST PATIENT 0042", (150, 360), 0, 0.9, (255, 255, 255), 2)
    monkeypatch.setattr(text_lines, "find", lambda rgb, mask: np.zeros_like(mask))
    assert look(pixels_of(canvas)).outcome == Refused("quarantined", "text-remains")


def test_a_net_that_was_exchanged_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    text.session.cache_clear()
    monkeypatch.setitem(text.SHA256, "overlay", "0" * 64)
    with pytest.raises(BadNet, match=r"overlay\.onnx"):
        text.session("overlay")
    text.session.cache_clear()


@pytest.mark.parametrize("net", text.SHA256)
def test_every_net_is_small_and_comes_with_its_recipe(net: str) -> None:
    folder = files("workers.ingest") / "nets"
    model = (folder / f"{net}.onnx").read_bytes()
    recipe = json.loads((folder / f"{net}.json").read_text())
    assert len(model) <= 2_000_000
    assert recipe["sha256"] == text.SHA256[net] == sha256(model).hexdigest()  # type: ignore[index]


def test_the_first_profile_is_still_known_by_its_name() -> None:
    assert named("ingest-1") == "ingest-1:a18d9ebae76f"
    assert pipeline.PROFILE.startswith(f"{pipeline.CURRENT}:")


def test_the_second_net_is_not_the_first_one() -> None:
    assert len(set(text.SHA256.values())) == len(text.SHA256)


def test_nothing_is_found_where_no_head_is() -> None:
    blank = np.zeros((300, 300), np.uint8)
    assert not text.find(np.zeros((300, 300, 3), np.uint8), blank).any()


def test_photos_are_cleared_too() -> None:
    rng = default_rng(8)
    drawn = screen("test", viewers.LAYOUTS["test"]["full-screen"], rng)
    canvas, _ = camera.as_sent("phone", drawn.canvas, [drawn.heads, drawn.ink], rng)
    answer = read(camera.file_of("phone", canvas, rng))
    assert isinstance(answer, Pixels)
    assert isinstance(look(answer), Examined)
