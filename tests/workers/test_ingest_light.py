"""Light that hides the anatomy is told by its name; good pictures are left in peace."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from training.phantom import Blob, Head, dwi_slice
from training.screen import screenshot
from training.synth import case
from workers.ingest import anatomy, light
from workers.ingest.outcome import Ingested, Pixels, Refused
from workers.ingest.pipeline import look

PROFILE = "ingest-3"
Canvas = NDArray[np.uint8]


@cache
def pictures(channel: str) -> list[Canvas]:
    drawn = [image for seed in range(700, 712) for image in case(seed).images]
    found = [
        cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR_RGB)
        for image in drawn
        if image.channel == channel
    ]
    return [np.asarray(each, np.uint8) for each in found]


def outcome_of(canvas: Canvas, by_camera: bool = False) -> Ingested | Refused:
    height, width = canvas.shape[:2]
    return look(Pixels(height, width, canvas.tobytes(), by_camera, {}), profile=PROFILE).outcome


def lit(canvas: Canvas, factor: float) -> Canvas:
    return np.clip(canvas.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def with_lamp(canvas: Canvas, strength: float) -> Canvas:
    """A reflected lamp in the middle of the head, a quarter of it wide."""
    x, y, w, h = anatomy.box_of(anatomy.find(canvas))
    rows, columns = np.ogrid[: canvas.shape[0], : canvas.shape[1]]
    away = (columns - x - w / 2) ** 2 + (rows - y - h / 2) ** 2
    lamp = 255 * strength * np.exp(-away / (2 * (0.25 * max(w, h)) ** 2))
    return np.clip(canvas + lamp[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("channel", ["screenshot", "screen-photo"])
def test_good_pictures_are_neither_refused_nor_warned_of_for_their_light(channel: str) -> None:
    outcomes = [outcome_of(each, channel == "screen-photo") for each in pictures(channel)[:8]]
    for outcome in outcomes:
        assert isinstance(outcome, Ingested)
        assert not {"glare", "little-contrast", "too-bright"} & set(outcome.warnings)


def test_a_picture_without_light_is_refused_and_a_dim_one_is_warned_of() -> None:
    assert outcome_of(lit(pictures("screenshot")[0], 0.12)) == Refused("rejected", "too-dark")
    dim = outcome_of(lit(pictures("screenshot")[0], 0.2))
    assert isinstance(dim, Ingested)
    assert "little-contrast" in dim.warnings


def test_a_burnt_out_picture_is_refused() -> None:
    assert outcome_of(lit(pictures("screenshot")[0], 4)) == Refused("rejected", "too-bright")


def test_a_reflected_lamp_that_hides_anatomy_is_refused_and_a_weaker_one_is_warned_of() -> None:
    assert outcome_of(with_lamp(pictures("screen-photo")[0], 1.6), by_camera=True) == Refused(
        "rejected", "glare"
    )
    still_a_brain = pictures("screen-photo")[3]
    weaker = outcome_of(with_lamp(still_a_brain, 0.8), by_camera=True)
    assert isinstance(weaker, Ingested)
    assert "glare" in weaker.warnings


def test_a_bright_lesion_on_a_screenshot_is_no_lamp() -> None:
    rng = default_rng(0)
    level = dwi_slice(Head.draw(rng), (Blob(-30, 10, 62, radius=26),), 62, rng)
    canvas, _ = screenshot([level * np.float32(1.2)], ("TEST PATIENT 0042",), rng)
    outcome = outcome_of(canvas)
    assert isinstance(outcome, Ingested)
    assert outcome.quality["blown"] > light.BLOWN_PERMILLE_WARN
    assert "glare" not in outcome.warnings
