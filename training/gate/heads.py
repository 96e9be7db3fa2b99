"""Tiles that the gate's net learns from: heads as ingest cuts them out, strangers cut out as if they were."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from domain.stroke import Modality
from training.contrasts import drawn, pictured
from training.gate.gyri import slice_of_tissues
from training.gate.rounds import ROUNDS
from training.gate.strangers import KINDS
from training.gate.struck import STRUCK
from training.overlays import camera
from training.overlays.anatomy import enclosed, enlarged, structural
from workers.ingest import anatomy
from workers.ingest.recognise import ANY_MRI, SEQUENCES, tissue
from workers.pixels import Gray, tile

SIDES_PX: Final = (130, 340)
STRANGER_SIDES_PX: Final = (140, 300)
FOUND_SHARE: Final = 0.3
"""Of pictures in which ingest's own finder draws the outline, where it finds one."""

ROUND_FOUND_SHARE: Final = 0.75
"""The same of round things, which it does find."""

SCREENED_SHARE: Final = 0.4
"""Of strangers, those that came by a phone or a messenger."""

TISSUE_SHARE: Final = 0.25
"""Of strangers, those of which the brighter part alone is asked about, as ingest does."""

STRANGERS_SHARE: Final = 0.5
ROUNDS_SHARE: Final = 0.35
STRUCK_SHARE: Final = 0.4
"""Of strangers."""

STRUCTURAL_SHARE: Final = 0.1
"""Of heads that only look like heads: a net that knows one phantom would know nothing else."""

GYRI_SHARE: Final = 0.5
"""Of heads of known sequence, those of the second anatomy."""

WEIGHTS: Final[dict[Modality, float]] = {
    "mri-dwi": 0.15,
    "mri-adc": 0.15,
    "mri-flair": 0.22,
    "mri-t2": 0.2,
    "mri-t1": 0.18,
    "ct": 0.1,
}
"""Of heads of known sequence: more of those that are harder to tell apart."""

Labelled = tuple[NDArray[np.float32], int]


def labelled(rng: Generator) -> Labelled:
    """A tile, SIDE x SIDE in [0, 1], and its place in SEQUENCES, or ANY_MRI."""
    draw = rng.random()
    if draw < STRANGERS_SHARE:
        return any_stranger(rng), SEQUENCES.index("other")
    if draw < STRANGERS_SHARE + STRUCTURAL_SHARE:
        return head(structural(int(rng.integers(*SIDES_PX)), rng), rng), ANY_MRI
    modality = list(WEIGHTS)[rng.choice(len(WEIGHTS), p=list(WEIGHTS.values()))]
    return head(windowed(slice_of(modality, rng), rng), rng), SEQUENCES.index(modality)


def slice_of(modality: Modality, rng: Generator) -> NDArray[np.float32]:
    """A slice of either anatomy."""
    if rng.random() < GYRI_SHARE:
        return pictured(modality, slice_of_tissues(rng), rng)
    return drawn(modality, rng)


def any_stranger(rng: Generator) -> NDArray[np.float32]:
    """The tile of a picture of some kind."""
    draw = rng.random()
    is_round = draw < ROUNDS_SHARE + STRUCK_SHARE
    kinds = ROUNDS if draw < ROUNDS_SHARE else STRUCK if is_round else KINDS
    picture = kinds[str(rng.choice(list(kinds)))](int(rng.integers(*STRANGER_SIDES_PX)), rng)
    return stranger(picture, rng, ROUND_FOUND_SHARE if is_round else FOUND_SHARE)


def windowed(level: NDArray[np.float32], rng: Generator) -> Gray:
    """A slice at a viewer's window and size, on black."""
    low, high = rng.uniform(0.0, 0.06), rng.uniform(0.6, 1.15) * np.percentile(level, 99.7)
    grey = ((level - low) / (high - low)).clip(0, 1) ** rng.uniform(0.75, 1.3)
    return enlarged(255 * grey, int(rng.integers(*SIDES_PX)))


def head(image: Gray, rng: Generator) -> NDArray[np.float32]:
    """The head's tile, after a phone or a messenger bent it and ingest cut it out."""
    canvas = photographed(placed(image, rng), rng)
    mask = outlined(canvas, rng)
    written_over(mask, rng)
    kept = np.where(mask == 1, np.maximum(canvas, 1), np.where(mask == 2, 1, 0))
    return cut_out(np.asarray(kept, np.uint8), mask)


def placed(image: Gray, rng: Generator) -> Gray:
    """Turned, stretched and mirrored a little, as slices and gantries are."""
    side = len(image)
    turn = rng.normal(0, 7) if rng.random() < 0.95 else rng.uniform(-180, 180)
    matrix = np.array(cv2.getRotationMatrix2D((side / 2,) * 2, turn, rng.uniform(0.85, 1.0)), float)
    matrix[:, :2] *= rng.uniform(0.93, 1.07, 2)
    matrix[:, 2] += rng.uniform(-0.03, 0.03, 2) * side
    return np.asarray(cv2.warpAffine(image, matrix, (side, side)), np.uint8)


def photographed(canvas: Gray, rng: Generator) -> Gray:
    """As a screenshot, or with a camera's light, blur, noise and compression."""
    if rng.random() < 0.3:
        return canvas
    side = len(canvas)
    light = (canvas / np.float32(255)) ** np.float32(rng.uniform(0.8, 1.25))
    light *= camera.moire(side, side, rng)
    if rng.random() < 0.3:
        light += camera.glare(side, side, rng)
    lifted = light * 0.95 + rng.uniform(0, 0.06)
    soft = np.asarray(cv2.GaussianBlur(lifted, (0, 0), rng.uniform(0.3, 1.2)), np.float32)
    soft += rng.standard_normal((side, side), np.float32) * np.float32(rng.uniform(0, 0.03))
    grey = (soft.clip(0, 1) * 255).astype(np.uint8)
    coded = cv2.imencode(".jpg", grey, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))))[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def outlined(canvas: Gray, rng: Generator) -> Gray:
    """1 on the head: as ingest finds it, or a little wider or narrower than it is."""
    if rng.random() < FOUND_SHARE and (found := finder(canvas)) is not None:
        return found
    mask = enclosed(canvas)
    reach = rng.uniform(-0.01, 0.05) * len(canvas)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(abs(reach)) + 1,) * 2)
    return np.asarray((cv2.dilate if reach > 0 else cv2.erode)(mask, disc), np.uint8)


def finder(canvas: Gray) -> Gray | None:
    """The largest head that ingest finds with some black around, if any."""
    edge = len(canvas) // 8
    framed = cv2.copyMakeBorder(canvas, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    mask = anatomy.find(np.repeat(np.asarray(framed, np.uint8)[..., None], 3, 2))
    mask = mask[edge:-edge, edge:-edge]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(labels == largest, np.uint8)


def written_over(mask: Gray, rng: Generator) -> None:
    """Marks with 2 where lines of text would have been blanked."""
    side = len(mask)
    for _ in range(max(0, int(rng.integers(-3, 4)))):
        x, y = rng.integers(0, side, 2)
        line = mask[y : y + int(rng.integers(8, 20)), x : x + int(rng.integers(20, side // 2))]
        line[line > 0] = 2


def stranger(
    picture: NDArray[np.uint8], rng: Generator, found_share: float = FOUND_SHARE
) -> NDArray[np.float32]:
    """The tile of a part of a picture, cut out as round as a head."""
    canvas = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    if rng.random() < 0.06:
        canvas = np.asarray(255 - canvas, np.uint8)
    if rng.random() < SCREENED_SHARE:
        canvas = photographed(canvas, rng)
    mask = finder(canvas) if rng.random() < found_share else None
    if mask is None:
        mask = rounded(len(canvas), rng)
    kept = np.where(mask > 0, np.maximum(canvas, 1), 0).astype(np.uint8)
    return cut_out(kept, mask, rng.random() < TISSUE_SHARE)


def rounded(side: int, rng: Generator) -> Gray:
    """1 in an ellipse that a head might fill, anywhere but mostly in the middle."""
    wide = rng.uniform(0.18, 0.46) * side
    axes = (round(wide), round(wide * rng.uniform(1.0, 1.35)))
    x, y = (rng.normal(0.5, 0.1, 2).clip(0.25, 0.75) * side).astype(int)
    blank = np.zeros((side, side), np.uint8)
    turn = rng.normal(0, 15)
    return np.asarray(cv2.ellipse(blank, (int(x), int(y)), axes, turn, 0, 360, 1, -1), np.uint8)


def cut_out(kept: Gray, mask: Gray, tissue_only: bool = False) -> NDArray[np.float32]:
    """The tile of what the mask's box holds, or of what is brighter than air in it."""
    x, y, w, h = anatomy.box_of(np.asarray(mask > 0, np.uint8))
    part = kept[y : y + h, x : x + w] if w and h else kept
    inner = tissue(part) if tissue_only and (part > 1).any() else part
    return tile(inner if inner.size else part)


def many(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Tiles (count, 1, SIDE, SIDE) and their classes; the same seed, the same tiles."""
    cv2.setNumThreads(1)
    drawn_, classes = zip(*islice_of(count, seed), strict=True)
    return np.stack(drawn_)[:, None], np.array(classes, np.int64)


def islice_of(count: int, seed: int) -> Iterator[Labelled]:
    for number in range(count):
        yield labelled(default_rng([seed, number]))
