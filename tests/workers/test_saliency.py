"""What mattered of an image: how far the answer falls without each patch."""

import cv2
import numpy as np
import pytest

from ictus.models import DEMO_BUNDLE
from tests.training.blots import picture
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.inference.saliency import ANATOMY_BLACK, Occlusion, cells, inside, overlay
from workers.pixels import heads, load

CONTEXT = Context.of({})


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(DEMO_BUNDLE)


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    """One head, then two side by side."""
    one, other, third = (picture(7, shot, side) for shot, side in enumerate((30, 8, 20)))
    pair = np.hstack([load(other), np.zeros_like(load(other)), load(third)])
    return [one, cv2.imencode(".png", pair)[1].tobytes()]


def top_probability(classifier: Classifier, images: list[bytes], top: int) -> float:
    parts = [classifier.see(image, ()) for image in images]
    case = classifier.together(list(enumerate(parts)), CONTEXT)
    return float(classifier.told([(case, classifier.encode(case.tiles))])[0].probability[top])


def test_a_patch_is_as_hot_as_the_answer_falls_when_it_is_blanked_before_all_else(
    classifier: Classifier, images: list[bytes]
) -> None:
    occlusion = Occlusion(classifier, images, CONTEXT)
    whole = top_probability(classifier, images, occlusion.top)
    heat, gray = occlusion.heat(1), load(images[1])

    for patch in cells(heads(gray)):
        blanked = gray.copy()
        blanked[inside(patch)] = np.minimum(blanked[inside(patch)], ANATOMY_BLACK)
        sent = [images[0], cv2.imencode(".png", blanked)[1].tobytes()]
        fallen = max(0.0, whole - top_probability(classifier, sent, occlusion.top))
        assert heat[inside(patch)].max() == pytest.approx(
            fallen * gray[inside(patch)].any(), abs=1e-6
        )
    assert heat.max() > 0


def test_what_was_cut_away_stays_cold_and_shows_no_colour(
    classifier: Classifier, images: list[bytes]
) -> None:
    heat, gray = Occlusion(classifier, images, CONTEXT).heat(0), load(images[0])
    shown = cv2.imdecode(np.frombuffer(overlay(images[0], heat, 1.0), np.uint8), cv2.IMREAD_COLOR)
    assert not heat[gray == 0].any()
    assert shown is not None
    assert shown.shape == (*gray.shape, 3)
    assert overlay(images[0], heat, 0.0) == cv2.imencode(".png", gray)[1].tobytes()
