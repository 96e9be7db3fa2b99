"""One axial slice of a head as a scanner shows it, in three kinds of image, with its truth."""

from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.phantom import SLICE_PIXELS, Place, Plane
from training.synthetic.facts import NEW_CENTRE
from training.synthetic.head import Lesion, Tissue, deepest, folds, plane, ring, soft, tissue
from training.synthetic.lesions import SURFACE_MM, Ellipsoid
from training.synthetic.territories import Atlas

Sequence = Literal["mri-dwi", "mri-adc", "mri-flair"]
Map = NDArray[np.uint8]
OUTSIDE, HEAD, LESION = 0, 1, 2
"""What a pixel of a truth map shows."""

OLD_SPOTS_MEAN: Final = 1.2
SWOLLEN: Final = 0.8
FOLDED_MM: Final = 2.2
"""How far a lesion's border follows the folds of the cortex."""


class Contrast(NamedTuple):
    """Grey levels of tissues; what acute and old lesions add, as a range."""

    white: float
    grey: float
    fluid: float
    acute: tuple[float, float]
    old: tuple[float, float]


CONTRASTS: Final[dict[Sequence, Contrast]] = {
    "mri-dwi": Contrast(0.34, 0.44, 0.10, (0.28, 0.60), (0.05, 0.12)),
    "mri-adc": Contrast(0.42, 0.46, 0.95, (-0.30, -0.22), (0.10, 0.22)),
    "mri-flair": Contrast(0.36, 0.46, 0.07, (0.12, 0.34), (0.18, 0.36)),
}


class Scanner(NamedTuple):
    """Noise (standard deviation), depth of the bias field, point spread (pixels), gain."""

    noise: tuple[float, float]
    bias: float
    blur: float
    gain: float


SCANNERS: Final = {
    "centre-a": Scanner((0.012, 0.024), 0.10, 0.6, 1.0),
    "centre-b": Scanner((0.016, 0.030), 0.12, 0.7, 0.96),
    "centre-c": Scanner((0.020, 0.035), 0.14, 0.8, 1.05),
    NEW_CENTRE: Scanner((0.040, 0.060), 0.25, 1.2, 0.82),
}


class Slice(NamedTuple):
    """Grey levels, about 0 to 1, and the truth of each pixel; the front of the head is up."""

    level: Plane
    truth: Map


def old_spots(atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    """Old lesions that shine through, as frequent whatever the cause."""
    where = np.flatnonzero((atlas.coarse.depth > 15) & (atlas.coarse.depth < 45))
    at = rng.choice(where, rng.poisson(OLD_SPOTS_MEAN))
    radii = rng.uniform(1.5, 4, len(at))
    centres = (atlas.coarse.x.flat[at], atlas.coarse.y.flat[at], atlas.coarse.z.flat[at])
    return tuple(Ellipsoid(x, y, z, r, r, r) for x, y, z, r in zip(*centres, radii, strict=True))


def scanned(
    atlas: Atlas,
    acute: tuple[Lesion, ...],
    old: tuple[Lesion, ...],
    z: float,
    sequence: Sequence,
    centre: str,
    rng: Generator,
) -> Slice:
    """The slice at height `z`. Sides as in radiology: the patient's left is on the right."""
    head, contrast = atlas.head, CONTRASTS[sequence]
    place = Place.grid(head, (z,), SLICE_PIXELS)
    fold = folds(head, z)
    share = _acute(atlas, acute, place, fold)
    level = _tissue_level(tissue(head, place, fold), share, contrast)
    level += np.float32(rng.uniform(*contrast.old)) * soft(deepest(head, old, place))
    level += np.float32(rng.uniform(*contrast.acute)) * share * (1 + 0.15 * fold)
    seen = plane(level * soft(place.depth, 1.2) + 0.07 * ring(place.depth, -9, 3) + 0.02)
    truth = (place.depth > 0).astype(np.uint8) * HEAD
    truth[share > 0.5] = LESION
    return Slice(_through(SCANNERS[centre], seen[0], rng), truth[0])


def _tissue_level(made_of: Tissue, acute: Plane, contrast: Contrast) -> Plane:
    """Swollen tissue leaves little room for fluid."""
    level = contrast.white + (contrast.grey - contrast.white) * made_of.grey
    level = level + (contrast.fluid - level) * made_of.fluid * (1 - SWOLLEN * acute)
    return plane(level * (1 - 0.75 * made_of.bone) + made_of.glow)


def _acute(atlas: Atlas, lesions: tuple[Lesion, ...], place: Place, fold: Plane) -> Plane:
    """Share of each pixel that is acute lesion: none where there is no brain."""
    if not lesions:
        return np.zeros_like(place.depth)
    inside = deepest(atlas.head, lesions, place) + FOLDED_MM * fold * 0.5
    return plane(soft(inside, 1.6) * soft(place.depth - SURFACE_MM))


def _through(scanner: Scanner, level: Plane, rng: Generator) -> Plane:
    """Bias field, point spread, Rician noise."""
    field = rng.uniform(1 - scanner.bias, 1 + scanner.bias, (3, 3)).astype(np.float32)
    bias = cv2.resize(field, level.shape, interpolation=cv2.INTER_CUBIC)
    noise = rng.standard_normal((2, *level.shape), np.float32)
    noise *= np.float32(rng.uniform(*scanner.noise))
    blurred = cv2.GaussianBlur(level * bias * np.float32(scanner.gain), (0, 0), scanner.blur)
    return plane(np.hypot(blurred + noise[0], noise[1]))
