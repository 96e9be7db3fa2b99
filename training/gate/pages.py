"""Whole pictures that the gate's other net learns from: viewers, films, ECGs, reports, the rest."""

from collections.abc import Callable
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from training.contrasts import CONTRASTS, drawn
from training.gate.heads import windowed
from training.gate.paper import ecg, report
from training.gate.shapes import Picture, sheet, softened, words
from training.gate.strangers import KINDS
from training.overlays import anatomy, camera
from training.overlays.fonts import Part
from workers.ingest.recognise import PAGES, page_input
from workers.pixels import Gray

LONG_PX: Final = 400
"""What the net learns from is drawn at this size and reduced."""

POOLS: Final = 4
POOL: Final = 60
Grids = dict[Part, tuple[tuple[int, int], ...]]
GRIDS: Final[Grids] = {
    "tuning": ((1, 1), (1, 2), (2, 2), (2, 3)),
    "test": ((1, 1), (2, 1), (1, 3), (3, 3)),
}
FILMS: Final[Grids] = {
    "tuning": ((2, 3), (3, 4), (4, 5), (4, 4), (5, 4)),
    "test": ((2, 2), (3, 3), (3, 5), (4, 3)),
}
"""Rows and columns of slices on one sheet."""

TOOLBARS_SHARE: Final = 0.6
PHOTO_SHARE: Final = 0.45


def viewer(long_px: int, part: Part, rng: Generator) -> Picture:
    """A viewer's window: panes with heads, a toolbar, a list, corner texts."""
    canvas = sheet(long_px, rng.choice([15, 45, 80, 130, 230]), rng, 8)
    canvas = canvas[: int(long_px * rng.uniform(0.6, 1.0))]
    top, left, right = (int(rng.uniform(0, 0.2) * long_px) for _ in range(3))
    if rng.random() > TOOLBARS_SHARE:
        top = left = right = 0
    area = canvas[top:, left : long_px - right]
    area[:] = int(rng.integers(0, 8))
    panes(area, GRIDS, part, rng)
    for x, wide in ((0, left), (long_px - right, right)):
        words(canvas, (x + 2, top + 4, wide - 4, len(canvas) - top - 8), ink_px(long_px), 170, rng)
    return canvas


def panes(area: Picture, grids: Grids, part: Part, rng: Generator) -> None:
    """Fills an area with rows and columns of slices and the texts in their corners."""
    rows, columns = grids[part][rng.integers(len(grids[part]))]
    high, wide = area.shape[0] // rows, area.shape[1] // columns
    ink, size = int(rng.integers(120, 255)), ink_px(max(area.shape))
    pool, lines = slices(part, int(rng.integers(POOLS))), rng.random() < 0.8
    share, start = rng.uniform(0.75, 1.0), int(rng.integers(POOL))
    for number in range(rows * columns):
        pane = area[number // columns * high :][:high, number % columns * wide :][:, :wide]
        side = int(share * min(high, wide))
        image = anatomy.enlarged(pool[(start + number) % POOL], side)
        y, x = (high - side) // 2, (wide - side) // 2
        place = pane[y : y + side, x : x + side]
        place[:] = np.maximum(place, image[..., None])
        if lines:
            words(pane, (2, 2, wide // 4, 3 * size), size, ink, rng)
            words(pane, (wide * 3 // 4, high - 4 * size, wide // 5, 3 * size), size, ink, rng)


@cache
def slices(part: Part, number: int) -> tuple[Gray, ...]:
    """Heads to put into panes, other ones in test pictures."""
    rng = default_rng([len(part), number])
    modalities = list(CONTRASTS)
    return tuple(
        windowed(drawn(modalities[rng.integers(len(modalities))], rng), rng) for _ in range(POOL)
    )


def ink_px(long_px: int) -> int:
    """Height of a viewer's letters."""
    return max(3, round(long_px / 70))


def film(long_px: int, part: Part, rng: Generator) -> Picture:
    """A photo of a film on a light box: glowing ground, a dark sheet of slices, black that is not black."""
    glow = rng.uniform(200, 255) * np.array([rng.uniform(0.85, 1), rng.uniform(0.93, 1), 1.0])
    height, width = int(long_px * rng.uniform(0.7, 1.0)), long_px
    canvas = np.full((height, width, 3), glow, np.float32)
    top, left = (int(max(0, rng.uniform(-0.04, 0.14)) * side) for side in (height, width))
    bottom, right = (int(side * rng.uniform(0.86, 1.04)) for side in (height, width))
    sheet_ = canvas[top:bottom, left:right]
    shown = np.zeros(sheet_.shape, np.uint8)
    panes(shown, FILMS, part, rng)
    base = rng.uniform(0.03, 0.2)
    sheet_ *= base + (0.95 - base) * shown / np.float32(255)
    if rng.random() < 0.5:
        canvas[: max(4, height // 30)] *= rng.uniform(0.2, 0.6)
    return handheld(lamp(canvas, rng), rng)


def handheld(canvas: NDArray[np.float32], rng: Generator) -> Picture:
    """Seen a little from the side, soft and grainy; what lies beyond is more of the same."""
    height, width = canvas.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.uniform(-0.04, 0.04, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    how = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
    seen = cv2.warpPerspective(canvas, matrix, (width, height), borderMode=how)
    return softened(np.asarray(seen, np.uint8), rng, 0.9)


def lamp(canvas: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """A box's light is brighter in its middle."""
    height, width = canvas.shape[:2]
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = 1 - rng.uniform(0, 0.2) * (x**2 + y**2) / 2
    return np.asarray((canvas * fall[..., None]).clip(0, 255), np.float32)


def photo(canvas: Picture, rng: Generator) -> Picture:
    """A phone's photo of it."""
    return camera.photographed(canvas, [], rng)[0]


def scan(long_px: int, part: Part, rng: Generator) -> Picture:
    """A viewer's window as a screenshot or photographed."""
    canvas = viewer(long_px, part, rng)
    return photo(canvas, rng) if rng.random() < PHOTO_SHARE else canvas


def other(long_px: int, _: Part, rng: Generator) -> Picture:
    """A stranger, sometimes photographed off a screen, or not square."""
    canvas = KINDS[str(rng.choice(list(KINDS)))](long_px, rng)
    canvas = canvas[: int(long_px * rng.uniform(0.6, 1.0))]
    return photo(canvas, rng) if rng.random() < 0.2 else canvas


Draw = Callable[[int, Part, Generator], Picture]
DRAW: Final[dict[str, Draw]] = {
    "scan": scan,
    "film": film,
    "ecg": ecg,
    "report": report,
    "other": other,
}


def many(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Pictures (count, 3, side, side) in [0, 1] and their places in PAGES; the same for the same seed."""
    cv2.setNumThreads(1)
    pictures, classes = [], []
    for number in range(count):
        rng = default_rng([seed, number])
        kind = PAGES[int(rng.integers(len(PAGES)))]
        pictures.append(page_input(turned(DRAW[kind](LONG_PX, "tuning", rng), rng)))
        classes.append(PAGES.index(kind))
    return np.concatenate(pictures), np.array(classes, np.int64)


def turned(canvas: Picture, rng: Generator) -> Picture:
    """Now and then on its side."""
    return np.rot90(canvas, int(rng.integers(4))) if rng.random() < 0.15 else canvas
