"""Where a prediction comes from: how far it falls when a patch of the images is blanked (occlusion,
M. D. Zeiler, R. Fergus, ECCV 2014). It needs nothing of the model but its answers."""

from collections.abc import Sequence
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


class Occlusion:
    """A case, with each image of which another may be tried. `top` is the cause that is most likely."""

    def __init__(
        self,
        classifier: Classifier,
        derivatives: Sequence[bytes],
        context: Context,
        sequences: Sequence[Sequence[str]] = (),
    ) -> None:
        self._classifier, self._context = classifier, context
        self._pixels = [load(each) for each in derivatives]
        self._named = sequences or [()] * len(derivatives)
        self._parts = [classifier.see(*each) for each in zip(derivatives, self._named, strict=True)]
        self._known = [classifier.encode(part.tiles) for part in self._parts]
        self._whole = self._probability(0, self._parts[0])
        self.top = int(np.argmax(self._whole))

    def heat(self, at: int) -> Heat:
        """How far the probability of `top` falls by each patch of that image."""
        gray = self._pixels[at]
        heat = np.zeros(gray.shape, np.float32)
        for x, y, w, h in cells(gray):
            blanked = gray.copy()
            patch = blanked[y : y + h, x : x + w]
            patch[patch > 0] = ANATOMY_BLACK
            without = self._classifier.see(png(blanked), self._named[at])
            fallen = self._whole[self.top] - self._probability(at, without)[self.top]
            heat[y : y + h, x : x + w] = max(0.0, float(fallen))
        return np.where(gray > 0, heat, 0).astype(np.float32)

    def _probability(self, at: int, other: Seen) -> NDArray[np.float32]:
        """Of each cause, if the image at that place were another."""
        changed = [*self._parts[:at], other, *self._parts[at + 1 :]]
        known = [*self._known[:at], self._classifier.encode(other.tiles), *self._known[at + 1 :]]
        case = self._classifier.together(list(enumerate(changed)), self._context)
        return self._classifier.told([(case, np.concatenate(known))])[0].probability


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
