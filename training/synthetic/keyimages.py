"""Which slices a clinician would send, and what goes wrong while doing so."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.random import Generator
from numpy.typing import NDArray

from training.phantom import FIELD_MM, SLICES_MM
from training.synthetic.scan import Sequence
from training.synthetic.territories import COARSE_PIXELS, Mask

IMAGES_SHARE: Final = (0.10, 0.19, 0.24, 0.19, 0.13, 0.08, 0.04, 0.03)
"""Of cases with one image, two, and so on to eight."""

FLOOR_SHARE: Final = 0.02
"""A slice without lesion counts as having this share of the largest lesion's area."""

MIXED_CASES: Final = 0.25
MIXED_IMAGES: Final = 0.5
MONTAGES: Final = 0.10
MONTAGE_SIDES: Final = (2, 3)
DUPLICATES, STRANGERS, TURNED, MIRRORED = 0.03, 0.02, 0.02, 0.01
TURNS_DEGREES: Final = (90, 180, 270)


class Shot(Struct, frozen=True, kw_only=True):
    """One picture to be taken: a pane for each height, `duplicate_of` an earlier picture of the case,
    `stranger` of somebody else's head, turned, or with left and right exchanged."""

    heights_mm: tuple[float, ...]
    sequence: Sequence
    duplicate_of: int | None = None
    stranger: bool = False
    turned_degrees: int = 0
    mirrored: bool = False


def choose(lesion: Mask, difficulty: float, rng: Generator) -> tuple[Shot, ...]:
    """The pictures of a case; slices with more lesion are likelier, so remote ones may be missed.

    Mixed-in sequences and mistakes become as frequent as in life with `difficulty` 1.
    """
    count = int(rng.choice(len(IMAGES_SHARE), p=IMAGES_SHARE)) + 1
    order = rng.choice(len(SLICES_MM), len(SLICES_MM), replace=False, p=_weights(lesion))
    is_mixed = rng.random() < MIXED_CASES * difficulty
    return tuple(_shot(at, order, is_mixed, difficulty, rng) for at in range(count))


def _weights(lesion: Mask) -> NDArray[np.float64]:
    areas = lesion.sum((1, 2)) * (FIELD_MM / COARSE_PIXELS) ** 2
    weights = np.sqrt(areas + FLOOR_SHARE * areas.max() + 0.5)
    return np.asarray(weights / weights.sum())


def _shot(
    at: int, order: NDArray[np.int64], is_mixed: bool, difficulty: float, rng: Generator
) -> Shot:
    """Every draw is made whether it matters or not, so that one knob moves one thing."""
    montage, copy, stranger, turn, mirror, other = rng.random(6)
    turns, source, side = rng.integers(3), rng.integers(max(at, 1)), rng.choice(MONTAGE_SIDES)
    adc = rng.random() < 0.7
    sequence: Sequence = "mri-adc" if adc else "mri-flair"
    panes = int(side**2) if montage < MONTAGES else 1
    is_copy = at > 0 and copy < DUPLICATES * difficulty
    return Shot(
        heights_mm=_heights(int(order[at]), panes),
        sequence=sequence if is_mixed and at > 0 and other < MIXED_IMAGES else "mri-dwi",
        duplicate_of=int(source) if is_copy else None,
        stranger=bool(stranger < STRANGERS * difficulty and at > 0),
        turned_degrees=TURNS_DEGREES[turns] if turn < TURNED * difficulty else 0,
        mirrored=bool(mirror < MIRRORED * difficulty),
    )


def _heights(middle: int, panes: int) -> tuple[float, ...]:
    """Neighbouring slices around the chosen one, from below upwards."""
    first = min(max(middle - panes // 2, 0), len(SLICES_MM) - panes)
    return SLICES_MM[first : first + panes] if panes > 1 else (SLICES_MM[middle],)
