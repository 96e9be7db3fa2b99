"""Changes of a case's images that change nothing in the patient, and how far the score then moves."""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np

from training.dataset import Dataset
from training.testing.cases import Judged, evenly, recognised, score_of
from workers.inference.classifier import Classifier, NothingToSee
from workers.inference.context import Context
from workers.pixels import Gray

CASES_MAX: Final = 60
MARGIN_PX: Final = 24
JPEG_QUALITY: Final = 60

Change = Callable[[list[Gray]], list[Gray]]


def reordered(images: list[Gray]) -> list[Gray]:
    return images[::-1]


def sent_twice(images: list[Gray]) -> list[Gray]:
    return [*images, images[0]]


def mirrored(images: list[Gray]) -> list[Gray]:
    return [np.ascontiguousarray(image[:, ::-1]) for image in images]


def padded(images: list[Gray]) -> list[Gray]:
    return [np.pad(image, MARGIN_PX) for image in images]


def compressed(images: list[Gray]) -> list[Gray]:
    """As JPEG and back; what was cut away stays cut away."""
    return [_compressed(image) for image in images]


CHANGES: Final[dict[str, Change]] = {
    "order": reordered,
    "duplicate": sent_twice,
    "mirror": mirrored,
    "padding": padded,
    "jpeg": compressed,
}
"""A case's derivatives, 8-bit grey (h, w) with 0 outside the heads, to what else they might be."""


def changes(
    classifier: Classifier, dataset: Dataset, cases: Sequence[Judged]
) -> dict[str, list[float]]:
    """For each change how far the score of each of some cases moves, in 0..1."""
    found: dict[str, list[float]] = {name: [] for name in CHANGES}
    for case in evenly(cases, CASES_MAX):
        images = [_pixels(dataset.derivative(image.sha256)) for image in case.row.images]
        context = Context.of(case.row.context)
        for name, change in CHANGES.items():
            changed = [_png(image) for image in change(images)]
            try:
                said = classifier.predict(changed, context, recognised(classifier, changed))
            except NothingToSee:
                continue
            found[name].append(abs(score_of(said) - case.score) / 1000)
    return found


def _compressed(image: Gray) -> Gray:
    data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1]
    back = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.where(image > 0, np.maximum(back, 1), 0).astype(np.uint8)


def _pixels(derivative: bytes) -> Gray:
    data = np.frombuffer(derivative, np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def _png(image: Gray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
