"""What a head is made of, slice by slice, and how lesions lie in it: shares of tissue, not grey levels."""

from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike

from training.phantom import (
    DEEP_GREY,
    PETROUS_BONE,
    SLICE_PIXELS,
    VENTRICLES,
    Head,
    Place,
    Plane,
)


class Lesion(Protocol):
    """Anything that knows how many mm inside of it each pixel lies (negative outside)."""

    def inside_mm(self, head: Head, place: Place) -> Plane: ...


class Tissue(NamedTuple):
    """Shares (0 to 1) of grey matter, fluid and bone, and the brightness that air near bone adds."""

    grey: Plane
    fluid: Plane
    bone: Plane
    glow: Plane


def tissue(head: Head, place: Place, fold: Plane) -> Tissue:
    """What every pixel of `place` is made of; the rest of it is white matter."""
    deep = np.maximum.reduce([pair(place, part) for part in DEEP_GREY])
    cortex = soft(6 + 3 * fold - place.depth)
    folia = soft(-place.y - 28, 3) * soft(30 - place.z, 3) * (0.5 + 0.5 * np.sin(place.depth * 1.3))
    tentorium = 0.8 * ring(place.y, -26, 1.5) * soft(28 - place.z, 3)
    return Tissue(
        grey=plane(np.maximum.reduce([cortex, 0.7 * deep, folia])),
        fluid=_fluid(head, place, fold),
        bone=np.maximum(pair(place, PETROUS_BONE), plane(tentorium)),
        glow=plane(0.14 * soft(place.y - 0.8 * head.half_length, 5) * soft(34 - place.z, 6)),
    )


def _fluid(head: Head, place: Place, fold: Plane) -> Plane:
    """Share of cerebrospinal fluid: sulci, the fissure between the hemispheres, ventricles."""
    under_cortex = soft(13 + 4 * head.atrophy - place.depth, 5)
    sulci = 0.9 * ring(fold, 0, 0.13 + 0.05 * head.atrophy) * under_cortex
    open_midline = np.maximum(soft(np.abs(place.y) - 30, 6), soft(place.z - 74, 4))
    fissure = 0.8 * ring(place.x, 0, 1.1) * open_midline
    ventricles = [pair(place, part, np.sqrt(head.atrophy)) for part in VENTRICLES]
    return plane(np.maximum.reduce([sulci, fissure, *ventricles]))


def folds(head: Head, z: float) -> Plane:
    """Smooth noise, about 6 mm in the plane, that changes slowly with z."""
    below = z / 16 % len(head.folds)
    low, mix = int(below), below - int(below)
    coarse = (1 - mix) * head.folds[low] + mix * head.folds[(low + 1) % len(head.folds)]
    return plane(cv2.resize(coarse, [SLICE_PIXELS] * 2, interpolation=cv2.INTER_CUBIC))


def deepest(head: Head, lesions: tuple[Lesion, ...], place: Place) -> Plane:
    depth = np.full(place.x.shape, -99, np.float32)
    for lesion in lesions:
        np.maximum(depth, lesion.inside_mm(head, place), out=depth)
    return depth


def pair(place: Place, part: tuple[int, int, int, int, int, int], wide: float = 1.0) -> Plane:
    """A soft ellipsoid and its mirror image in the other hemisphere."""
    x, y, z, rx, ry, rz = part
    across = ((np.abs(place.x) - x) / (rx * wide)) ** 2
    along, up = ((place.y - y) / (ry * wide)) ** 2, ((place.z - z) / rz) ** 2
    return soft(plane((1 - np.sqrt(across + along + up)) * 6))


def soft(inside_mm: Plane, edge_mm: float = 1.5) -> Plane:
    return plane(np.clip(inside_mm / (2 * edge_mm) + 0.5, 0, 1))


def ring(value: Plane, centre: float, width: float) -> Plane:
    return plane(np.exp(-(((value - centre) / width) ** 2)))


def plane(values: ArrayLike) -> Plane:
    return np.asarray(values, np.float32)
