"""Whose blood a place of the head gets: analytic borders in millimetres, a little different in everyone."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.phantom import FIELD_MM, SLICES_MM, Head, Place, Plane
from training.synthetic.head import plane

Territory = Literal["mca", "aca", "pca", "vertebrobasilar", "lenticulostriate", "thalamoperforator"]
Side = Literal[1, -1]
"""1: the patient's left, where x grows; drawn on the right of a picture."""

Mask = NDArray[np.bool_]

COARSE_PIXELS: Final = 50
SLICE_STEP_MM: Final = SLICES_MM[1] - SLICES_MM[0]
VOXEL_ML: Final = (FIELD_MM / COARSE_PIXELS) ** 2 * SLICE_STEP_MM / 1000
JITTER_MM: Final = 4.0
CORTEX_MM: Final = (3.0, 20.0)
"""Depth under the surface where small embolic lesions lie."""


@dataclass(frozen=True)
class Atlas:
    """A head and its borders: `aca_mm` beside the midline, `pca_mm` front of the occipital part,
    `phases` of their slow waves."""

    head: Head
    aca_mm: float
    pca_mm: float
    phases: tuple[float, float]

    @staticmethod
    def draw(rng: Generator) -> "Atlas":
        head = Head.draw(rng)
        aca, pca = (float(v) for v in rng.normal(0, JITTER_MM / 2, 2).clip(-JITTER_MM, JITTER_MM))
        first, second = rng.uniform(0, 2 * np.pi, 2)
        return Atlas(head, 22 + aca, -34 + pca, (float(first), float(second)))

    @cached_property
    def coarse(self) -> Place:
        """Every voxel of `VOXEL_ML`, in all slices that can be sent."""
        return Place.grid(self.head, SLICES_MM, COARSE_PIXELS)

    def inside_mm(self, name: Territory, place: Place) -> Plane:
        """How deep inside a territory (both sides of it) each place lies; negative outside."""
        return BORDERS[name](self, place)

    def mask(self, name: Territory, side: Side | None = None) -> Mask:
        """Coarse voxels of the brain in a territory."""
        within = (self.inside_mm(name, self.coarse) > 0) & (self.coarse.depth > CORTEX_MM[0])
        return np.asarray(within if side is None else within & self.on(side))

    def on(self, side: Side) -> Mask:
        return np.asarray(self.coarse.x * side > 1.5)

    def cortex(self) -> Mask:
        return np.asarray((self.coarse.depth > CORTEX_MM[0]) & (self.coarse.depth < CORTEX_MM[1]))

    def cortical_border_zone(self) -> Mask:
        """Bands 7 mm wide where the middle artery's territory meets its neighbours', near the surface."""
        at = self.coarse
        front = (np.abs(_lateral(self, at)) < 3.5) & (at.y > 5) & (at.z > 55)
        back = (np.abs(_behind(self, at)) < 3.5) & (at.z > 40) & (np.abs(at.x) > 20)
        return np.asarray(self.cortex() & (front | back))

    def internal_border_zone(self) -> Mask:
        """White matter beside the body of the ventricle."""
        at = self.coarse
        beside = (np.abs(at.x) > 21) & (np.abs(at.x) < 33) & (np.abs(at.y - 2) < 34)
        return np.asarray(beside & (at.z > 66) & (at.z < 94) & (at.depth > 14))

    def supplied(self, lesion: Mask) -> dict[str, float]:
        """Millilitres of a coarse lesion by territory and side, such as `mca-left`, largest first."""
        rest, found = lesion.copy(), {}
        for name in BORDERS:
            part = rest & (self.inside_mm(name, self.coarse) > 0)
            rest &= ~part
            for word, side in (("left", self.coarse.x > 0), ("right", self.coarse.x <= 0)):
                found[f"{name}-{word}"] = round(float((part & side).sum() * VOXEL_ML), 2)
        ordered = sorted(found.items(), key=lambda item: -item[1])
        return {name: ml for name, ml in ordered if ml > 0}


def _wave(atlas: Atlas, along: Plane, turn: int) -> Plane:
    return plane(2.5 * np.sin(along / 13 + atlas.phases[turn]))


def _lateral(atlas: Atlas, at: Place) -> Plane:
    """Millimetres outside the anterior artery's strip along the midline."""
    return plane(np.abs(at.x) - atlas.aca_mm + _wave(atlas, at.y, 0))


def _behind(atlas: Atlas, at: Place) -> Plane:
    """Millimetres behind the front of the posterior artery's territory."""
    return plane(atlas.pca_mm - at.y + _wave(atlas, at.x, 1))


def _vertebrobasilar(atlas: Atlas, at: Place) -> Plane:
    cerebellum = np.minimum(32 - at.z, -24 - at.y)
    brainstem = np.minimum(34 - at.z, np.minimum(15 - np.abs(at.x), 4 - at.y))
    return plane(np.maximum(cerebellum, brainstem))


def _pca(atlas: Atlas, at: Place) -> Plane:
    medial_temporal = np.minimum.reduce([30 - np.abs(at.x), 44 - at.z, -8 - at.y, at.z - 30])
    whole = np.maximum(_behind(atlas, at), medial_temporal)
    return plane(np.minimum(whole, -_vertebrobasilar(atlas, at)))


def _aca(atlas: Atlas, at: Place) -> Plane:
    beside = np.minimum(-_lateral(atlas, at), -_behind(atlas, at))
    return plane(np.minimum.reduce([beside, at.z - 34, np.maximum(at.z - 66, at.y - 14)]))


def _mca(atlas: Atlas, at: Place) -> Plane:
    others = np.maximum.reduce([_pca(atlas, at), _aca(atlas, at), _vertebrobasilar(atlas, at)])
    return plane(-others)


def _deep(x: float, y: float, z: float, rx: float, ry: float, rz: float) -> "Border":
    def inside_mm(_: Atlas, at: Place) -> Plane:
        across = ((np.abs(at.x) - x) / rx) ** 2 + ((at.y - y) / ry) ** 2 + ((at.z - z) / rz) ** 2
        return plane((1 - np.sqrt(across)) * min(rx, ry, rz))

    return inside_mm


Border = Callable[[Atlas, Place], Plane]
BORDERS: Final[dict[Territory, Border]] = {
    "lenticulostriate": _deep(24, 6, 54, 15, 22, 18),
    "thalamoperforator": _deep(10, -12, 52, 11, 13, 12),
    "vertebrobasilar": _vertebrobasilar,
    "pca": _pca,
    "aca": _aca,
    "mca": _mca,
}
"""Where two claim a place, the earlier has it."""
