"""Lesions in millimetres: one function per pattern, from a finding and a head, whatever the cause."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from training.phantom import Head, Place, Plane
from training.synthetic.facts import Finding
from training.synthetic.frequencies import Pattern
from training.synthetic.head import Lesion, deepest, plane
from training.synthetic.territories import (
    SLICE_STEP_MM,
    VOXEL_ML,
    Atlas,
    Mask,
    Side,
    Territory,
)

SURFACE_MM: Final = 2.5
"""Nothing nearer to the brain's surface is lesion."""

SLAB_MM: Final = 5.0
"""A slice is so thick: what lies within it is seen in it."""

TERRITORY_SHARE: Final[dict[Territory, float]] = {"mca": 0.78, "pca": 0.14, "aca": 0.08}
LACUNE_SHARE: Final = {"corona-radiata": 0.55, "thalamus": 0.25, "pons": 0.2}
LACUNE_MM: Final = {
    "corona-radiata": (23, 2, 70),
    "thalamus": (11, -12, 52),
    "pons": (4, -12, 22),
}
CORTICAL_DEPTH_MM, WHOLE_DEPTH_MM = 16.0, 80.0
SMALL_MM, BORDER_MM, ROSARY_MM = (2.0, 5.5), (4.0, 8.0), (3.0, 5.0)
CORTICAL_TOO_SHARE: Final = 0.4
CONTRALATERAL_TOO_SHARE: Final = 0.3


@dataclass(frozen=True)
class Ellipsoid:
    """A roundish lesion: centre and radii in mm."""

    x: float
    y: float
    z: float
    rx: float
    ry: float
    rz: float

    def inside_mm(self, head: Head, place: Place) -> Plane:
        across = ((place.x - self.x) / self.rx) ** 2 + ((place.y - self.y) / self.ry) ** 2
        up = np.maximum(np.abs(place.z - self.z) - SLAB_MM / 2, 0) / self.rz
        return plane((1 - np.sqrt(across + up**2)) * min(self.rx, self.ry, self.rz))


@dataclass(frozen=True)
class Grown:
    """A territorial lesion: all of one side's territory within `reach_mm` of a place on the cortex,
    narrower with depth."""

    atlas: Atlas
    territory: Territory
    side: Side
    x: float
    y: float
    z: float
    depth_mm: float
    reach_mm: float = 0.0

    def away_mm(self, place: Place) -> Plane:
        taper = np.clip(1.15 - place.depth / 65, 0.3, 1)
        across = np.hypot(place.x - self.x, place.y - self.y) / taper
        return plane(np.hypot(across, place.z - self.z))

    def inside_mm(self, head: Head, place: Place) -> Plane:
        bounds = (
            self.reach_mm - self.away_mm(place),
            self.atlas.inside_mm(self.territory, place),
            self.side * place.x,
            self.depth_mm - place.depth,
        )
        return plane(np.minimum.reduce(bounds))


def lesions_of(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    """Where the lesions of a finding lie in a head."""
    return PATTERNS[finding.pattern](finding, atlas, rng)


def coarse_mask(lesions: tuple[Lesion, ...], atlas: Atlas) -> Mask:
    """Voxels of the brain that hold lesion."""
    inside = deepest(atlas.head, lesions, atlas.coarse) > 0
    return np.asarray(inside & (atlas.coarse.depth > SURFACE_MM))


def _side(rng: Generator) -> Side:
    return 1 if rng.random() < 0.5 else -1


def _near(mask: Mask, atlas: Atlas, rng: Generator) -> tuple[float, float, float]:
    """A place in a coarse region; anywhere in the cortex where the region is empty."""
    where = np.flatnonzero(mask) if mask.any() else np.flatnonzero(atlas.cortex())
    at, voxel = int(rng.choice(where)), atlas.coarse
    dx, dy = rng.uniform(-2, 2, 2)
    dz = rng.uniform(-SLICE_STEP_MM / 2, SLICE_STEP_MM / 2)
    return float(voxel.x.flat[at] + dx), float(voxel.y.flat[at] + dy), float(voxel.z.flat[at] + dz)


def _blobs(
    count: int, mask: Mask, radius_mm: tuple[float, float], atlas: Atlas, rng: Generator
) -> tuple[Lesion, ...]:
    return tuple(_blob(_near(mask, atlas, rng), radius_mm, rng) for _ in range(count))


def _blob(
    at: tuple[float, float, float], radius_mm: tuple[float, float], rng: Generator
) -> Ellipsoid:
    radius, flat, long = rng.uniform(*radius_mm), rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.2)
    return Ellipsoid(*at, radius, radius * flat, radius * long)


def _grown(
    territory: Territory,
    side: Side,
    millilitres: float,
    depth_mm: float,
    atlas: Atlas,
    rng: Generator,
) -> Lesion:
    """Of the volume asked for, as far as the territory has room."""
    room = atlas.mask(territory, side) & (atlas.coarse.depth < depth_mm)
    centre = _near(room & atlas.cortex() & (atlas.coarse.z < 95), atlas, rng)
    lesion = Grown(atlas, territory, side, *centre, depth_mm)
    away = np.sort(lesion.away_mm(atlas.coarse)[room])
    rank = min(round(millilitres / VOXEL_ML), len(away) - 1)
    reach = float(away[max(rank, 0)]) if len(away) else 5.0
    return Grown(atlas, territory, side, *centre, depth_mm, max(reach, 4.0))


def _territory(rng: Generator) -> Territory:
    names = list(TERRITORY_SHARE)
    return names[rng.choice(len(names), p=list(TERRITORY_SHARE.values()))]


def none(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    return ()


def cortico_subcortical(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    where = _territory(rng)
    return (_grown(where, _side(rng), finding.main_ml, WHOLE_DEPTH_MM, atlas, rng),)


def cortical(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    where = _territory(rng)
    return (_grown(where, _side(rng), finding.main_ml, CORTICAL_DEPTH_MM, atlas, rng),)


def large_subcortical(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    """Striatocapsular."""
    x, y, z = rng.normal((24, 5, 54), (2, 4, 4))
    radius = rng.uniform(9, 16)
    return (Ellipsoid(_side(rng) * x, y, z, radius * 0.75, radius * 1.3, radius),)


def lacune(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    site = str(rng.choice(list(LACUNE_SHARE), p=list(LACUNE_SHARE.values())))
    x, y, z = rng.normal(LACUNE_MM[site], (1, 2, 3))
    return (_blob((_side(rng) * x, y, z), (3, 7), rng),)


def scattered(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    zone = atlas.mask("mca", _side(rng)) & atlas.cortex()
    return _blobs(finding.blobs, zone, SMALL_MM, atlas, rng)


def confluent(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    side = _side(rng)
    main = _grown("mca", side, finding.main_ml, WHOLE_DEPTH_MM, atlas, rng)
    zone = atlas.mask("mca", side) & atlas.cortex()
    return (main, *_blobs(finding.blobs, zone, SMALL_MM, atlas, rng))


def unilateral_anterior(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    side = _side(rng)
    main = _grown("mca", side, finding.main_ml, WHOLE_DEPTH_MM, atlas, rng)
    zone = (atlas.mask("aca") & atlas.cortex() | atlas.cortical_border_zone()) & atlas.on(side)
    row = _rosary(int(rng.integers(2, 5)), side, rng) if finding.rosary else ()
    return (main, *_blobs(finding.blobs, zone, SMALL_MM, atlas, rng), *row)


def multiple_posterior(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    where: Territory = "pca" if rng.random() < 0.5 else "vertebrobasilar"
    main = _grown(where, _side(rng), finding.main_ml, WHOLE_DEPTH_MM, atlas, rng)
    return (main, *_blobs(finding.blobs, _posterior(atlas), SMALL_MM, atlas, rng))


def bilateral_anterior(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    side = _side(rng)
    main = _grown("mca", side, finding.main_ml, WHOLE_DEPTH_MM, atlas, rng)
    far = _anterior(atlas) & ~atlas.on(side)
    return (main, *_blobs(finding.blobs, far, SMALL_MM, atlas, rng))


def anterior_and_posterior(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    side, both = _side(rng), rng.random() < CONTRALATERAL_TOO_SHARE
    main = _grown("mca", side, finding.main_ml, WHOLE_DEPTH_MM, atlas, rng)
    back = _blobs(finding.blobs, _posterior(atlas), SMALL_MM, atlas, rng)
    far = _blobs(int(both), _anterior(atlas) & ~atlas.on(side), SMALL_MM, atlas, rng)
    return (main, *back, *far)


def internal_border_zone(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    side, cortical_too = _side(rng), rng.random() < CORTICAL_TOO_SHARE
    zone = atlas.cortical_border_zone() & atlas.on(side)
    also = _blobs(int(cortical_too), zone, BORDER_MM, atlas, rng)
    return (*_rosary(finding.blobs, side, rng), *also)


def cortical_border_zone(finding: Finding, atlas: Atlas, rng: Generator) -> tuple[Lesion, ...]:
    zone = atlas.cortical_border_zone() & atlas.on(_side(rng))
    return _blobs(finding.blobs, zone, BORDER_MM, atlas, rng)


def _rosary(count: int, side: Side, rng: Generator) -> tuple[Lesion, ...]:
    """Beads in a row, deep in the white matter beside the ventricle."""
    x, z = side * rng.uniform(24, 30), rng.uniform(70, 88)
    rows = np.linspace(-26, 28, count) + rng.normal(0, 2, count)
    return tuple(
        _blob((x + rng.normal(0, 1.5), float(y), z + rng.normal(0, 2)), ROSARY_MM, rng)
        for y in rows
    )


def _anterior(atlas: Atlas) -> Mask:
    return np.asarray((atlas.mask("mca") | atlas.mask("aca")) & atlas.cortex())


def _posterior(atlas: Atlas) -> Mask:
    return np.asarray((atlas.mask("pca") | atlas.mask("vertebrobasilar")) & atlas.cortex())


Draw = Callable[[Finding, Atlas, Generator], tuple[Lesion, ...]]
PATTERNS: Final[dict[Pattern, Draw]] = {
    "single-cortico-subcortical": cortico_subcortical,
    "single-cortical": cortical,
    "large-subcortical": large_subcortical,
    "small-subcortical": lacune,
    "scattered": scattered,
    "confluent-and-additional": confluent,
    "unilateral-anterior": unilateral_anterior,
    "multiple-posterior": multiple_posterior,
    "bilateral-anterior": bilateral_anterior,
    "anterior-and-posterior": anterior_and_posterior,
    "internal-border-zone": internal_border_zone,
    "cortical-border-zone": cortical_border_zone,
    "none": none,
}
