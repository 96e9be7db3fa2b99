"""Endless training crops: a part of a head, text and graphics on it, as a messenger or phone sends it."""

from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Final, NamedTuple

import cv2
import numpy as np
from msgspec import structs
from numpy.random import PCG64, Generator
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from training.overlays import anatomy, camera, writing

SIDE_PX: Final = 160
MARGIN_PX: Final = 32
"""Drawn around a crop and cut off after bending, so that no border shows."""

POOL: Final = 96
HEAD_PX_MIN, HEAD_PX_MAX = 220, 900
LINES_MEAN: Final = 2.0
FRESH: Final = 3
"""One crop of so many is new; the others are taken again from the latest SEEN."""
SEEN: Final = 256
BARE_SHARE: Final = 0.25
TRIES: Final = 4
DARK: Final = 30
TISSUE_SHARE_MIN: Final = 0.7
"""Crops for faint lines are tried again while less of them is brighter than DARK."""
FAINT_LEVELS: Final = (9, 45)
"""Grey levels between a faint line and what it lies on."""


class Faint(NamedTuple):
    """Of lines, the share that is hardly brighter or darker than what it lies on, by how many grey levels."""

    share: float = 0.0
    levels: tuple[int, int] = FAINT_LEVELS
    reshaped: float = 0.0
    """Of lines, the share whose letters are of no face that there is: narrower, wider, thinner, bolder."""


NONE_FAINT: Final = Faint()

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def drawing(seed: int) -> Generator:
    """What one process of a loader draws by, with one thread of OpenCV's."""
    worker = get_worker_info()
    cv2.setNumThreads(1)
    return Generator(PCG64((seed, worker.id if worker else 0)))


class Crops(IterableDataset[Sample]):
    """RGB uint8 (SIDE_PX, SIDE_PX, 3) and ink 0/1 (SIDE_PX, SIDE_PX); the same seed, the same crops."""

    def __init__(self, seed: int, faint: Faint = NONE_FAINT) -> None:
        self.seed = seed
        self.faint = faint

    def __iter__(self) -> Iterator[Sample]:
        rng = drawing(self.seed)
        pool: deque[NDArray[np.uint8]] = deque(maxlen=POOL)
        seen: deque[Sample] = deque(maxlen=SEEN)
        for number in count():
            if len(pool) < POOL // 4 or number % 60 == 0:
                pool.append(anatomy.head(int(rng.integers(250, 800)), rng)[0])
            if len(seen) < SEEN or number % FRESH == 0:
                seen.append(crop(pool[rng.integers(len(pool))], rng, self.faint))
                yield seen[-1]
            else:
                yield seen[rng.integers(len(seen))]


def crop(head: NDArray[np.uint8], rng: Generator, faint: Faint = NONE_FAINT) -> Sample:
    """One crop of a head at a random scale, turned or mirrored at random."""
    grey = varied(head, rng)
    side = SIDE_PX + 2 * MARGIN_PX
    canvas = np.repeat(_window(grey, side, rng, TRIES if faint.share else 1)[..., None], 3, 2)
    truth = np.zeros(canvas.shape[:2], np.uint16)
    if rng.random() < 0.2:
        graphics(canvas, rng)
    if rng.random() > BARE_SHARE:
        for _ in range(1 + rng.poisson(LINES_MEAN)):
            _write(canvas, truth, rng, faint)
    kind = camera.KINDS[rng.choice(3, p=(0.3, 0.3, 0.4))]
    canvas, truth = bent(canvas, truth, kind, rng)
    received = camera.received(camera.file_of(kind, canvas, rng))
    inner = np.s_[MARGIN_PX : MARGIN_PX + SIDE_PX, MARGIN_PX : MARGIN_PX + SIDE_PX]
    return np.ascontiguousarray(received[inner]), (truth[inner] > 0).astype(np.uint8)


def varied(head: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """The head at another size, mirrored, turned, with another contrast."""
    side = int(np.exp(rng.uniform(np.log(HEAD_PX_MIN), np.log(HEAD_PX_MAX))))
    grey = anatomy.enlarged(np.rot90(head, int(rng.integers(4))), side)
    if rng.random() < 0.5:
        grey = np.fliplr(grey)
    gain, lift, gamma = rng.uniform(0.5, 1.3), rng.uniform(-10, 25), rng.uniform(0.7, 1.4)
    table = (np.linspace(0, 1, 256) ** gamma * 255 * gain + lift).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.05:
        table = table[::-1]
    return np.asarray(table[grey], np.uint8)


def _window(grey: NDArray[np.uint8], side: int, rng: Generator, tries: int) -> NDArray[np.uint8]:
    """side x side anywhere on the head, or partly beside it; the more tries, the more tissue."""
    padded = cv2.copyMakeBorder(
        grey, side // 2, side // 2, side // 2, side // 2, cv2.BORDER_REPLICATE
    )
    for _ in range(tries):
        top, left = (int(rng.integers(0, size - side + 1)) for size in padded.shape)
        window = np.array(padded[top : top + side, left : left + side], np.uint8)
        if (window > DARK).mean() >= TISSUE_SHARE_MIN:
            break
    return window


def _write(
    canvas: NDArray[np.uint8], truth: NDArray[np.uint16], rng: Generator, faint: Faint
) -> None:
    """A line anywhere, cut at the borders, with air around it; not over another one."""
    line = writing.ink("tuning", rng)
    if faint.reshaped and rng.random() < faint.reshaped:
        line = reshaped(line, rng)
    height, width = line.coverage.shape
    x = int(rng.integers(-width // 2, canvas.shape[1] - 8))
    y = int(rng.integers(0, max(1, canvas.shape[0] - height)))
    if x < 0:
        line = cut(line, -x)
        x = 0
    if faint.share and rng.random() < faint.share:
        line = faded(line, canvas[y : y + height, x : x + width], faint.levels, rng)
    if not truth[y : y + height, x : x + width].any():
        writing.blend(canvas, line, x, y)
        writing.mark(truth, line, x, y, 1)


def faded(
    line: writing.Ink, place: NDArray[np.uint8], levels: tuple[int, int], rng: Generator
) -> writing.Ink:
    """The line in a grey close to that of the place it will lie on, or of a part of it."""
    under = float(np.percentile(place, rng.uniform(20, 80)))
    grey = under + rng.choice((-1, 1, 1)) * rng.uniform(*levels)
    level = int(np.clip(grey, 0, 255))
    return structs.replace(line, colour=(level, level, level), opacity=1.0)


def reshaped(line: writing.Ink, rng: Generator) -> writing.Ink:
    """The line with letters of another width and weight."""
    wider, weight = rng.uniform(0.75, 1.3), np.exp(rng.uniform(-0.5, 0.7))
    size = (max(8, round(line.coverage.shape[1] * wider)), line.coverage.shape[0])
    drawn = cv2.resize(line.coverage, size, interpolation=cv2.INTER_AREA)
    coverage = np.round((drawn / 255) ** weight * 255).astype(np.uint8)
    return structs.replace(line, coverage=coverage)


def cut(line: writing.Ink, columns: int) -> writing.Ink:
    """The line without its first columns."""
    return writing.Ink(
        line.coverage[:, columns:],
        line.text,
        line.size_px,
        line.script,
        line.colour,
        line.opacity,
        line.shadow,
    )


def graphics(canvas: NDArray[np.uint8], rng: Generator) -> None:
    """What viewers draw that is no text: rulers, cross-hairs, outlines."""
    side = canvas.shape[0]
    for _ in range(rng.integers(1, 4)):
        colour = tuple(int(c) for c in writing.COLOURS[rng.integers(len(writing.COLOURS))])
        start, end = rng.integers(0, side, 2).tolist(), rng.integers(0, side, 2).tolist()
        if rng.random() < 0.6:
            cv2.line(canvas, start, end, colour, int(rng.integers(1, 3)), cv2.LINE_AA)
        else:
            axes = rng.integers(15, 90, 2).tolist()
            cv2.ellipse(canvas, start, axes, 0, 0, 360, colour, 1, cv2.LINE_AA)


def bent(
    canvas: NDArray[np.uint8], truth: NDArray[np.uint16], kind: camera.Kind, rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Turned, scaled and lit as this kind of picture would be; the size stays."""
    if kind == "screenshot" and rng.random() < 0.7:
        return canvas, truth
    side = canvas.shape[0]
    turn = rng.uniform(-5, 5) if kind == "phone" else 0.0
    scale = rng.uniform(0.8, 1.15) if kind == "phone" else rng.uniform(0.75, 1.0)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turn, scale)
    area = cv2.warpAffine(canvas, matrix, (side, side), flags=cv2.INTER_LINEAR)
    ink = cv2.warpAffine(truth, matrix, (side, side), flags=cv2.INTER_NEAREST).astype(np.uint16)
    if kind != "phone":
        return area.astype(np.uint8), ink
    light = (area / np.float32(255)) ** np.float32(rng.uniform(0.8, 1.2))
    light *= camera.moire(side, side, rng)[..., None]
    light += camera.glare(side, side, rng)[..., None] * np.float32(rng.random() < 0.5)
    soft = cv2.GaussianBlur(light * 0.97 + 0.015, (0, 0), rng.uniform(0.3, 1.0))
    grain = rng.standard_normal((side, side, 1), np.float32) * np.float32(rng.uniform(0, 0.02))
    return ((soft + grain).clip(0, 1) * 255).astype(np.uint8), ink
