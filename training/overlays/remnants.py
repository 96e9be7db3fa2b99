"""Endless training crops of what ingest leaves: the same drawn text after most of it was blanked."""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from training.overlays import anatomy as anatomies, camera, crops
from training.overlays.crops import SIDE_PX, Faint, Sample, drawing
from training.overlays.viewers import Layout, screen
from workers.ingest import anatomy, text, text_lines
from workers.pixels import Gray

SCREEN_SHARE: Final = 0.5
"""Of samples, those cut out of whole screens, where heads have rims and neighbours."""

WINDOWS_PER_HEAD: Final = 12
"""Looked at; of those with ink one in WRITTEN_EVERY, of others fewer."""
WRITTEN_EVERY: Final = 2
BARE_EVERY: Final = 6

MISSED_SHARE: Final = 0.5
"""Of samples, those in which lines are left as if the first nets had missed them."""
LINE_MISSED: Final = 0.6

REMNANT_PX: Final = 20
"""From so much ink on, what is left is worth being shown again."""
AGAIN_SHARE: Final = 0.3
KEPT: Final = 384
"""Samples that are shown again, of what was left by mistake and of all."""
FRESH: Final = 4
HEADS: Final = 96


class Remnants(IterableDataset[Sample]):
    """RGB uint8 (SIDE_PX, SIDE_PX, 3) with lines blanked, and the ink 0/1 that is left."""

    def __init__(self, seed: int, faint: Faint) -> None:
        self.seed = seed
        self.faint = faint

    def __iter__(self) -> Iterator[Sample]:
        rng = drawing(self.seed)
        fresh = self.fresh(rng)
        seen: deque[Sample] = deque(maxlen=KEPT)
        missed: deque[Sample] = deque(maxlen=KEPT)
        for number in count():
            if number % FRESH and len(seen) == KEPT:
                again = missed if missed and rng.random() < AGAIN_SHARE else seen
                yield again[rng.integers(len(again))]
                continue
            sample, by_mistake = next(fresh)
            (missed if by_mistake else seen).append(sample)
            yield sample

    def fresh(self, rng: Generator) -> Iterator[tuple[Sample, bool]]:
        """New samples, and whether the first nets left something of them by mistake."""
        heads: deque[NDArray[np.uint8]] = deque(maxlen=HEADS)
        windows: list[tuple[Sample, bool]] = []
        for number in count():
            if len(heads) < HEADS // 4 or number % 60 == 0:
                heads.append(anatomies.head(int(rng.integers(250, 800)), rng)[0])
            if rng.random() < SCREEN_SHARE:
                windows = windows or list(of_screen(rng))
                if windows:
                    yield windows.pop()
            else:
                yield of_crop(crops.crop(heads[rng.integers(len(heads))], rng, self.faint), rng)


def of_crop(sample: Sample, rng: Generator) -> tuple[Sample, bool]:
    """A crop whose lines are blanked, all or not all of them."""
    rgb, ink = sample
    found = text.covered(text.ink(rgb, SIDE_PX, text_lines.followed))
    mistaken = is_left(ink & (1 - found))
    if rng.random() < MISSED_SHARE:
        found = overlooked(found, rng)
    return blanked(rgb, ink, found), mistaken


def of_screen(rng: Generator) -> Iterator[tuple[Sample, bool]]:
    """Windows on the heads of one screen."""
    drawn = screen("tuning", layout(rng), rng)
    kind = camera.KINDS[rng.integers(len(camera.KINDS))]
    canvas, (truth,) = camera.as_sent(kind, drawn.canvas, [drawn.ink], rng)
    rgb, ink = camera.received(camera.file_of(kind, canvas, rng)), (truth > 0).astype(np.uint8)
    mask = anatomy.find(rgb)
    found = text_lines.find(rgb, mask)
    for x, y in corners(mask, rng):
        place = np.s_[y : y + SIDE_PX, x : x + SIDE_PX]
        mistaken = is_left((ink & mask & (1 - found))[place])
        every = WRITTEN_EVERY if ink[place].any() else BARE_EVERY
        if mistaken or rng.integers(every) == 0:
            seen = found[place] if rng.random() > MISSED_SHARE else overlooked(found[place], rng)
            yield blanked(rgb[place], ink[place], seen), mistaken


def layout(rng: Generator) -> Layout:
    """A viewer that nobody made."""
    rows, columns = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    side = rng.uniform(380, 900) if rows * columns == 1 else rng.uniform(340, 560)
    return Layout(
        rows,
        columns,
        (int(side), int(side * rng.uniform(0.9, 1.4))),
        top_px=int(rng.integers(0, 50)),
        left_px=int(rng.integers(0, 200)),
        gap_px=int(rng.integers(0, 10)),
        page=int(rng.integers(0, 256)),
        pane=int(rng.integers(0, 6)),
    )


def corners(mask: Gray, rng: Generator) -> Iterator[tuple[int, int]]:
    """Left and top of windows anywhere on the heads."""
    for x, y, w, h in text.widened(mask):
        if min(w, h) >= SIDE_PX:
            for _ in range(WINDOWS_PER_HEAD):
                left, top = rng.integers(w - SIDE_PX + 1), rng.integers(h - SIDE_PX + 1)
                yield x + int(left), y + int(top)


def overlooked(found: Gray, rng: Generator) -> Gray:
    """What was found, without some of its pieces."""
    pieces, labels = cv2.connectedComponents(found)
    kept = np.concatenate([[0], rng.random(pieces - 1) >= LINE_MISSED]).astype(np.uint8)
    return np.asarray(kept[labels], np.uint8)


def blanked(rgb: NDArray[np.uint8], ink: Gray, found: Gray) -> Sample:
    """What the second net is shown, and the ink in it."""
    left = np.where(found[..., None] > 0, np.uint8(0), rgb)
    return np.ascontiguousarray(left), np.asarray(ink & (1 - found), np.uint8)


def is_left(ink: Gray) -> bool:
    return int(ink.sum()) >= REMNANT_PX
