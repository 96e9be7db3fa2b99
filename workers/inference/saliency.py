"""Where a prediction comes from: how far it falls when a patch of the images is blanked (occlusion,
M. D. Zeiler, R. Fergus, ECCV 2014). It needs nothing of the model but its answers."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.inference.graphs import Floats
from workers.pixels import Box, heads, load, tile

CELLS_ACROSS: Final = 8
ANATOMY_BLACK: Final = 1
OVERLAY_SHARE: Final = 0.6

Heat = NDArray[np.float32]
"""Height x width of a derivative: how far the probability falls, 0 and more."""


class Occlusion:
    """A case whose patches may be blanked one by one. `top` is the cause that is most likely."""

    def __init__(
        self,
        classifier: Classifier,
        derivatives: Sequence[bytes],
        context: Context,
        sequences: Sequence[Sequence[str]] = (),
    ) -> None:
        self._classifier = classifier
        self._pixels = [load(each) for each in derivatives]
        named = sequences or [()] * len(derivatives)
        parts = [classifier.see(*each) for each in zip(derivatives, named, strict=True)]
        self._case = classifier.together(list(enumerate(parts)), context)
        self._known = classifier.encode(self._case.tiles)
        self._first = np.cumsum([0, *(len(part.tiles) for part in parts)])
        self._whole = self._probability(self._known)
        self.top = int(np.argmax(self._whole))

    def heat(self, at: int) -> Heat:
        """How far the probability of `top` falls by each patch of that image."""
        gray = self._pixels[at]
        heat = np.zeros(gray.shape, np.float32)
        boxes = heads(gray)
        for patch in cells(boxes):
            left = self._probability(self._blanked(at, boxes, patch))[self.top]
            heat[inside(patch)] = max(0.0, float(self._whole[self.top] - left))
        return np.where(gray > 0, heat, 0).astype(np.float32)

    def _blanked(self, at: int, boxes: Sequence[Box], patch: Box) -> Floats:
        """The case's embeddings without that patch, which changes only the heads that it touches."""
        blanked = self._pixels[at].copy()
        blanked[inside(patch)] = np.minimum(blanked[inside(patch)], ANATOMY_BLACK)
        known = self._known.copy()
        for number, head in enumerate(boxes, self._first[at]):
            if touch(head, patch):
                known[number] = self._classifier.encode(tile(blanked[inside(head)])[None, None])[0]
        return known

    def _probability(self, known: Floats) -> Floats:
        """Of each cause, by the embeddings of all tiles."""
        return self._classifier.told([(self._case, known)])[0].probability


def cells(boxes: Sequence[Box]) -> list[Box]:
    """The patches that cover the heads, CELLS_ACROSS to a head's width."""
    found = []
    for left, top, width, height in boxes:
        side = max(1, -(-max(width, height) // CELLS_ACROSS))
        found += [
            (x, y, min(side, left + width - x), min(side, top + height - y))
            for y in range(top, top + height, side)
            for x in range(left, left + width, side)
        ]
    return found


def inside(box: Box) -> tuple[slice, slice]:
    """Rows and columns of a picture."""
    x, y, width, height = box
    return slice(y, y + height), slice(x, x + width)


def touch(one: Box, other: Box) -> bool:
    """Whether they share a pixel."""
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


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
