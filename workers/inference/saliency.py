"""Where a prediction comes from: how far it falls when a patch of the images is blanked (occlusion,
M. D. Zeiler, R. Fergus, ECCV 2014). It needs nothing of the model but its answers."""

from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.inference.classifier import Classifier, Seen
from workers.inference.context import Context
from workers.pixels import Gray, heads, load

CELLS_ACROSS: Final = 8
ANATOMY_BLACK: Final = 1
OVERLAY_SHARE: Final = 0.6

Heat = NDArray[np.float32]
"""Height x width of a derivative: how far the probability falls, 0 and more."""


def occluded(
    classifier: Classifier,
    derivatives: Sequence[bytes],
    context: Context,
    sequences: Sequence[Sequence[str]] = (),
    told: Callable[[int, int], None] = lambda done, of: None,
) -> list[Heat]:
    """A map for each derivative, for the cause that is most likely."""
    named = sequences or [()] * len(derivatives)
    parts = [classifier.see(each, names) for each, names in zip(derivatives, named, strict=True)]
    seen = [classifier.encode(part.tiles) for part in parts]

    def probability(at: int, other: Seen) -> NDArray[np.float32]:
        """If the image at that place were another."""
        changed = [*parts[:at], other, *parts[at + 1 :]]
        known = [*seen[:at], classifier.encode(other.tiles), *seen[at + 1 :]]
        case = classifier.together(list(enumerate(changed)), context)
        return classifier.told([(case, np.concatenate(known))])[0].probability

    whole = probability(0, parts[0])
    top = int(np.argmax(whole))
    maps = []
    for at, derivative in enumerate(derivatives):
        gray = load(derivative)
        heat = np.zeros(gray.shape, np.float32)
        for x, y, w, h in cells(gray):
            blanked = gray.copy()
            patch = blanked[y : y + h, x : x + w]
            patch[patch > 0] = ANATOMY_BLACK
            without = classifier.see(png(blanked), named[at])
            fallen = whole[top] - probability(at, without)[top]
            heat[y : y + h, x : x + w] = max(0.0, float(fallen))
        maps.append(np.where(gray > 0, heat, 0).astype(np.float32))
        told(at + 1, len(derivatives))
    return maps


def cells(gray: Gray) -> list[tuple[int, int, int, int]]:
    """x, y, width and height of the patches that cover the heads, CELLS_ACROSS to a head's width."""
    found = []
    for left, top, width, height in heads(gray):
        side = max(1, -(-max(width, height) // CELLS_ACROSS))
        found += [
            (x, y, min(side, left + width - x), min(side, top + height - y))
            for y in range(top, top + height, side)
            for x in range(left, left + width, side)
        ]
    return found


def overlay(derivative: bytes, heat: Heat, most: float) -> bytes:
    """PNG of a derivative with its map in colour; `most` is what is shown as the hottest."""
    gray = load(derivative)
    if most <= 0:
        return png(gray)
    level = np.asarray(np.clip(255 * heat / most, 0, 255), np.uint8)
    smooth = cv2.GaussianBlur(level, (0, 0), max(1.0, max(gray.shape) / (6 * CELLS_ACROSS)))
    colour = cv2.applyColorMap(np.asarray(smooth, np.uint8), cv2.COLORMAP_INFERNO)
    weight = (OVERLAY_SHARE * smooth / 255.0)[..., None]
    grey = np.repeat(gray[..., None], 3, 2)
    return png(np.asarray(grey * (1 - weight) + colour * weight, np.uint8))


def png(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()
