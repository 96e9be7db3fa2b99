"""An analytic head in millimetres, its lesions, and one axial diffusion-weighted slice of it.

Not anatomy and not physics: shapes and grey levels were chosen by a developer so that software can
be tested. x points to the patient's left, y to the front, z up; the origin is at the skull base.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

Plane = NDArray[np.float32]

FIELD_MM = 200.0
SLICE_PIXELS = 144
SLICES_MM = tuple(float(z) for z in range(12, 112, 7))
WHITE, GREY, FLUID = 0.36, 0.47, 0.12

# Soft ellipsoids, mirrored in x: centre x, y, z and radii x, y, z in mm.
DEEP_GREY = ((25, 10, 50, 7, 14, 13), (12, -10, 52, 8, 12, 11), (0, -14, 22, 13, 12, 16))
VENTRICLES = (
    (7, 18, 56, 5, 11, 15),
    (10, 0, 68, 5, 20, 9),
    (15, -24, 54, 5, 12, 13),
    (0, -3, 45, 2, 8, 10),
    (0, -30, 20, 7, 5, 9),
)
PETROUS_BONE = (40, -16, 14, 20, 5, 12)

# Rings outside the brain: mm under its surface, and how far they reach.
SKULL_MM = (-4.0, 2.5)
SCALP_MM = (-9.0, 3.0)


@dataclass(frozen=True)
class Blob:
    """A roundish lesion: centre and radius in mm."""

    x: float
    y: float
    z: float
    radius: float

    def inside_mm(self, head: "Head", place: "Place") -> Plane:
        squares = (place.x - self.x) ** 2 + (place.y - self.y) ** 2 + (place.z - self.z) ** 2
        return _plane(self.radius - np.sqrt(squares))


@dataclass(frozen=True)
class Wedge:
    """A territorial lesion: a cone from the surface inwards, around `angle` (radians, 0 = left)."""

    angle: float
    half_angle: float
    depth_mm: float
    z: float
    half_height_mm: float

    def inside_mm(self, head: "Head", place: "Place") -> Plane:
        across = np.abs((place.angle - self.angle + np.pi) % (2 * np.pi) - np.pi)
        taper = np.clip(1.25 - place.depth / self.depth_mm, 0.0, 1.0)
        rise = 1.0 - ((place.z - self.z) / self.half_height_mm) ** 2
        width = self.half_angle * np.sqrt(np.clip(rise, 0.0, 1.0)) * taper
        return _plane(np.minimum((width - across) * 45, self.depth_mm * 1.15 - place.depth))


Lesion = Blob | Wedge


@dataclass(frozen=True)
class Head:
    """What differs between two people: half axes in mm, atrophy (1 = usual), cortical folding."""

    half_width: float
    half_length: float
    atrophy: float
    folds: Plane
    outline: Plane

    @staticmethod
    def draw(rng: Generator) -> "Head":
        size, aspect = 1 + 0.05 * rng.standard_normal(2).clip(-2, 2)
        return Head(
            half_width=66 * size,
            half_length=80 * size * aspect,
            atrophy=rng.uniform(0.8, 1.6),
            folds=rng.standard_normal((8, 34, 34)).astype(np.float32),
            outline=rng.standard_normal(4).astype(np.float32),
        )

    def scale(self, z: Plane | float) -> Plane:
        """The head's size at height z, as a share of its largest."""
        return _plane(np.sqrt(np.clip(1 - ((_plane(z) - 52) / 72) ** 2, 0.05, 1)))

    def at_surface(self, angle: float, depth_mm: float, z: float) -> tuple[float, float]:
        """The (x, y) that lies `depth_mm` under the surface in the direction of `angle`."""
        reach = float(self.scale(z)) - depth_mm / 72
        return reach * self.half_width * np.cos(angle), reach * self.half_length * np.sin(angle)


@dataclass(frozen=True)
class Place:
    """Every pixel of one or more slices, (slices, y, x): mm, radians, mm under the surface."""

    x: Plane
    y: Plane
    z: Plane
    angle: Plane
    depth: Plane

    @staticmethod
    def grid(head: Head, slices_mm: tuple[float, ...], pixels: int) -> "Place":
        line = ((np.arange(pixels) + 0.5) / pixels - 0.5).astype(np.float32) * FIELD_MM
        z, y, x = np.meshgrid(_plane(slices_mm), -line, line, indexing="ij")
        u, v = x / head.half_width, y / head.half_length
        angle = np.arctan2(v, u)
        waves = sum(
            height * np.sin(order * angle + z / 40) for order, height in enumerate(head.outline, 2)
        )
        depth = (head.scale(z) * (1 + 0.006 * waves) - np.hypot(u, v)) * 72
        return Place(x, y, z, angle, _plane(depth))


def lesion_areas(head: Head, lesions: tuple[Lesion, ...]) -> NDArray[np.float64]:
    """Lesion area in each slice of `SLICES_MM`, in mm², on a coarse grid."""
    place = Place.grid(head, SLICES_MM, 48)
    mask = (_deepest(head, lesions, place) > 0) & (place.depth > 1)
    return np.asarray(mask.sum(axis=(1, 2)) * (FIELD_MM / 48) ** 2, np.float64)


def dwi_slice(head: Head, lesions: tuple[Lesion, ...], z: float, rng: Generator) -> Plane:
    """Grey levels, about 0 to 1, (SLICE_PIXELS, SLICE_PIXELS); the front of the head is up."""
    place = Place.grid(head, (z,), SLICE_PIXELS)
    fold = _folds(head, z)
    level = _tissue(head, place, fold)
    spots = tuple(_distractor(head, z, rng) for _ in range(rng.poisson(0.5)))
    level += np.float32(rng.uniform(0.06, 0.12)) * _soft(_deepest(head, spots, place))
    body = _soft(place.depth, 1.2)
    acute = _soft(_deepest(head, lesions, place) + 2.2 * fold, 1.6) * _soft(place.depth - 1.5)
    level += acute * np.float32(rng.uniform(0.34, 0.6)) * (1 + 0.15 * fold)
    scalp = 0.07 * _ring(place.depth, *SCALP_MM)
    return scanned(_plane(level * body + scalp + 0.02)[0], rng)


@dataclass(frozen=True)
class Tissues:
    """Shares of a slice (SLICE_PIXELS, SLICE_PIXELS), each 0 to 1; `lesion` lies within the brain."""

    brain: Plane
    grey: Plane
    fluid: Plane
    inner_bone: Plane
    skull: Plane
    scalp: Plane
    lesion: Plane


def tissues(head: Head, lesions: tuple[Lesion, ...], z: float) -> Tissues:
    """What lies where in one slice, for contrasts that are not diffusion's."""
    place, fold = Place.grid(head, (z,), SLICE_PIXELS), _folds(head, z)
    brain = _soft(place.depth, 1.2)
    lesion = _soft(_deepest(head, lesions, place) + 2.2 * fold, 1.6) * _soft(place.depth - 1.5)
    shares = (
        brain,
        _grey(place, fold),
        _fluid(head, place, fold),
        _inner_bone(place),
        _ring(place.depth, *SKULL_MM),
        _ring(place.depth, *SCALP_MM),
        lesion,
    )
    return Tissues(*(_plane(share[0]) for share in shares))


def _deepest(head: Head, lesions: tuple[Lesion, ...], place: Place) -> Plane:
    depth = np.full(place.x.shape, -99, np.float32)
    for lesion in lesions:
        np.maximum(depth, lesion.inside_mm(head, place), out=depth)
    return depth


def _distractor(head: Head, z: float, rng: Generator) -> Blob:
    """A faint old spot (T2 shine-through), as frequent in either cause."""
    x, y = head.at_surface(rng.uniform(-np.pi, np.pi), rng.uniform(15, 45), z)
    return Blob(x, y, z, rng.uniform(1.5, 4))


def _folds(head: Head, z: float) -> Plane:
    """Smooth noise, about 6 mm in the plane, that changes slowly with z."""
    below = z / 16 % len(head.folds)
    low, mix = int(below), below - int(below)
    coarse = (1 - mix) * head.folds[low] + mix * head.folds[(low + 1) % len(head.folds)]
    return _plane(cv2.resize(coarse, [SLICE_PIXELS] * 2, interpolation=cv2.INTER_CUBIC))


def _tissue(head: Head, place: Place, fold: Plane) -> Plane:
    level = WHITE + (GREY - WHITE) * _grey(place, fold)
    level = level + (FLUID - level) * _fluid(head, place, fold)
    sinus = 0.14 * _soft(place.y - 0.8 * head.half_length, 5) * _soft(34 - place.z, 6)
    return _plane(level * (1 - 0.75 * _inner_bone(place)) + sinus)


def _grey(place: Place, fold: Plane) -> Plane:
    """Share of grey matter: cortex, deep nuclei, the cerebellum's leaves."""
    deep = np.maximum.reduce([_pair(place, part) for part in DEEP_GREY])
    cortex = _soft(6 + 3 * fold - place.depth)
    folia = (
        _soft(-place.y - 28, 3) * _soft(30 - place.z, 3) * (0.5 + 0.5 * np.sin(place.depth * 1.3))
    )
    return _plane(np.maximum.reduce([cortex, 0.7 * deep, folia]))


def _inner_bone(place: Place) -> Plane:
    """Share of what gives no signal within the skull: petrous bone, tentorium."""
    tentorium = 0.8 * _ring(place.y, -26, 1.5) * _soft(28 - place.z, 3)
    return _plane(np.maximum(_pair(place, PETROUS_BONE), tentorium))


def _fluid(head: Head, place: Place, fold: Plane) -> Plane:
    """Share of cerebrospinal fluid: sulci, the fissure between the hemispheres, ventricles."""
    under_cortex = _soft(13 + 4 * head.atrophy - place.depth, 5)
    sulci = 0.9 * _ring(fold, 0, 0.13 + 0.05 * head.atrophy) * under_cortex
    open_midline = np.maximum(_soft(np.abs(place.y) - 30, 6), _soft(place.z - 74, 4))
    fissure = 0.8 * _ring(place.x, 0, 1.1) * open_midline
    ventricles = [_pair(place, part, np.sqrt(head.atrophy)) for part in VENTRICLES]
    return _plane(np.maximum.reduce([sulci, fissure, *ventricles]))


def _pair(place: Place, part: tuple[int, int, int, int, int, int], wide: float = 1.0) -> Plane:
    """A soft ellipsoid and its mirror image in the other hemisphere."""
    x, y, z, rx, ry, rz = part
    across = ((np.abs(place.x) - x) / (rx * wide)) ** 2
    along, up = ((place.y - y) / (ry * wide)) ** 2, ((place.z - z) / rz) ** 2
    return _soft(_plane((1 - np.sqrt(across + along + up)) * 6))


def _soft(inside_mm: Plane, edge_mm: float = 1.5) -> Plane:
    return _plane(np.clip(inside_mm / (2 * edge_mm) + 0.5, 0, 1))


def _ring(value: Plane, centre: float, width: float) -> Plane:
    return _plane(np.exp(-(((value - centre) / width) ** 2)))


def scanned(level: Plane, rng: Generator) -> Plane:
    """The slice as a scanner gives it: bias field of up to 12 %, point spread, Rician noise."""
    bias = cv2.resize(rng.uniform(0.88, 1.12, (3, 3)), level.shape, interpolation=cv2.INTER_CUBIC)
    noise = rng.standard_normal((2, *level.shape)) * rng.uniform(0.012, 0.03)
    blurred = cv2.GaussianBlur(level * bias, (0, 0), 0.7)
    return _plane(np.hypot(blurred + noise[0], noise[1]))


def _plane(values: ArrayLike) -> Plane:
    return np.asarray(values, np.float32)
