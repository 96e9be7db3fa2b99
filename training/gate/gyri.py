"""A second made-up anatomy for the gate: cortex along winding sulci, lobes that part at the skull's base.

A net that knows one phantom takes its style for what a head is. This one shares no shape with it: tissues
of one slice are drawn in the plane, in millimetres, bent as a whole. A developer's drawing, not anatomy.
"""

from typing import Final

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.phantom import FIELD_MM, SLICE_PIXELS, Plane, Tissues

PIXEL_MM: Final = FIELD_MM / SLICE_PIXELS
BASE_SHARE: Final = 0.25
"""Of slices, those at the base, where the lobes lie apart."""

Spot = tuple[float, float, float, float, float]
"""A soft ellipse: centre x and y, radii, in mm, and its turn in radians; mirrored in x."""


def slice_of_tissues(rng: Generator) -> Tissues:
    """One slice of a fresh head: shares of its tissues, (SLICE_PIXELS, SLICE_PIXELS) each, 0 to 1."""
    x, y = bent(rng)
    size = rng.uniform(0.76, 0.9)
    x, y = x / size, y / size
    is_base = rng.random() < BASE_SHARE
    brain = lobes(x, y, rng) if is_base else dome(x, y, rng)
    depth = depth_mm(brain)
    gap = sulci_mm(x, y, depth, rng)
    open_mm, ribbon_mm = rng.uniform(-0.6, 1.6), rng.uniform(2.2, 5.5)
    holes = spots(x, y, at_base(rng) if is_base else ventricles(rng))
    fluid = np.maximum(soft(plane(open_mm - gap)), holes)
    cortex = soft(plane(ribbon_mm + max(0.0, open_mm) - np.minimum(gap, depth)))
    grey = np.maximum(cortex, 0.8 * spots(x, y, deep(rng)))
    slab = rng.uniform(0, 1.3)
    skull, scalp, inside = around(brain, rng)
    bone = spots(x, y, petrous(rng)) if is_base else np.zeros_like(brain)
    return Tissues(
        brain=inside,
        grey=thick(grey, slab),
        fluid=thick(np.maximum(fluid, soft(-depth)), slab),
        inner_bone=plane(bone),
        skull=skull,
        scalp=scalp,
        lesion=plane(lesion(x, y, gap, rng) * (depth > 1)),
    )


def thick(share: Plane, slab_mm: float) -> Plane:
    """As a slice shows it that is thicker than what it cuts: edges melt into each other."""
    sigma_px = slab_mm / PIXEL_MM
    return plane(cv2.GaussianBlur(share, (0, 0), sigma_px)) if sigma_px > 0.2 else share


def bent(rng: Generator) -> tuple[Plane, Plane]:
    """x to the right and y to the front, mm from the middle, of every pixel of a head that is no ellipse."""
    line = ((np.arange(SLICE_PIXELS) + 0.5) / SLICE_PIXELS - 0.5) * FIELD_MM
    x, y = np.meshgrid(line, -line)
    coarse, fine = rng.uniform(0, 5), rng.uniform(0, 2.5)
    x = x + coarse * noise(5, rng) + fine * noise(14, rng)
    y = y + coarse * noise(5, rng) + fine * noise(14, rng)
    return plane(x), plane(y)


def noise(cells: int, rng: Generator) -> Plane:
    """Smooth, of about unit variance, so many cells across."""
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return plane(cv2.resize(coarse, (SLICE_PIXELS,) * 2, interpolation=cv2.INTER_CUBIC))


def dome(x: Plane, y: Plane, rng: Generator) -> Plane:
    """1 in the two hemispheres: an egg, wider behind."""
    width, length = rng.uniform(60, 70), rng.uniform(76, 88)
    share = rng.choice([1.0, rng.uniform(0.55, 1.0)], p=[0.7, 0.3])
    egg = 1 - rng.uniform(0, 0.15) * y / length
    return plane(np.hypot(x / (width * egg), y / length) < share)


def lobes(x: Plane, y: Plane, rng: Generator) -> Plane:
    """1 in frontal lobes, temporal lobes, brainstem and cerebellum, with gaps between."""
    parts: list[Spot] = [
        (rng.uniform(12, 20), rng.uniform(34, 46), rng.uniform(18, 25), rng.uniform(26, 36), 0.1),
        (rng.uniform(36, 44), rng.uniform(0, 14), rng.uniform(19, 26), rng.uniform(28, 38), -0.2),
        (0, rng.uniform(-14, -4), rng.uniform(15, 22), rng.uniform(16, 24), 0),
        (rng.uniform(20, 27), rng.uniform(-50, -42), rng.uniform(29, 35), rng.uniform(26, 34), 0.2),
    ]
    return plane(spots(x, y, parts) > 0.5)


def depth_mm(mask: Plane) -> Plane:
    """How deep in the mask a pixel lies, negative outside of it."""
    inside = np.asarray(mask, np.uint8)
    into, out = (cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in (inside, 1 - inside))
    return plane((into - out) * PIXEL_MM)


def sulci_mm(x: Plane, y: Plane, depth: Plane, rng: Generator) -> Plane:
    """Distance from the nearest sulcus or fissure, in mm."""
    angle = np.arctan2(y, x)
    around_, inwards = int(rng.integers(16, 44)), rng.uniform(0.3, 1.2)
    texture = rng.standard_normal((8, around_)).astype(np.float32)
    texture = np.concatenate([texture, texture[:, :4]], 1)
    column = (angle / (2 * np.pi) + 0.5) * around_ + 1
    row = (depth / 40 * inwards * 4 + 1).clip(0, 7)
    waves = cv2.resize(texture, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    value = cv2.remap(waves, plane(column * 8), plane(row * 8), cv2.INTER_LINEAR)
    steep = np.hypot(*np.gradient(value)) / PIXEL_MM
    gap = np.abs(value) / np.maximum(steep, 0.02)
    reach = rng.uniform(10, 24) + rng.uniform(2, 8) * noise(9, rng)
    gap = gap + np.maximum(0, depth - reach)
    return plane(np.minimum(gap, fissures_mm(x, y, rng)))


def fissures_mm(x: Plane, y: Plane, rng: Generator) -> Plane:
    """Distance from what parts the hemispheres, in front and behind, and from the lateral fissures."""
    front, back = rng.uniform(15, 35), rng.uniform(-45, -20)
    midline = np.abs(x) + np.maximum(0, np.minimum(front - y, y - back))
    level, slope, inner = rng.uniform(-5, 20), rng.uniform(-0.4, 0.4), rng.uniform(34, 44)
    lateral = np.abs(y - level - slope * (np.abs(x) - 45)) + np.maximum(0, inner - np.abs(x))
    if rng.random() < 0.4:
        return plane(midline)
    return plane(np.minimum(midline, lateral))


def ventricles(rng: Generator) -> list[Spot]:
    """Horns in front and behind, or bodies, narrow or wide; now and then none."""
    wide, shift = rng.uniform(2, 7), rng.uniform(-8, 8)
    if rng.random() < 0.15:
        return []
    if rng.random() < 0.5:
        return [(rng.uniform(8, 14), shift, wide, rng.uniform(22, 38), rng.uniform(-0.15, 0.3))]
    return [
        (rng.uniform(7, 13), 22 + shift, wide, rng.uniform(9, 15), rng.uniform(0.2, 0.7)),
        (rng.uniform(16, 26), -26 + shift, wide, rng.uniform(9, 16), rng.uniform(-0.9, -0.2)),
        (0, -2 + shift, rng.uniform(1, 3.5), rng.uniform(6, 12), 0),
    ]


def at_base(rng: Generator) -> list[Spot]:
    """The cistern above the saddle and the fourth ventricle."""
    return [
        (0, rng.uniform(8, 18), rng.uniform(6, 13), rng.uniform(5, 11), 0),
        (0, rng.uniform(-34, -24), rng.uniform(4, 9), rng.uniform(3, 8), 0),
    ]


def deep(rng: Generator) -> list[Spot]:
    """Caudate, lentiform nucleus and thalamus."""
    shift = rng.uniform(-6, 6)
    return [
        (rng.uniform(12, 16), 20 + shift, 4, rng.uniform(7, 11), 0.4),
        (rng.uniform(23, 28), 5 + shift, rng.uniform(5, 9), rng.uniform(12, 18), -0.3),
        (rng.uniform(9, 13), -13 + shift, rng.uniform(6, 9), rng.uniform(10, 14), 0.5),
    ]


def petrous(rng: Generator) -> list[Spot]:
    """The bones beside the ears."""
    return [(rng.uniform(34, 44), rng.uniform(-24, -12), rng.uniform(12, 22), 5, 0.6)]


def around(brain: Plane, rng: Generator) -> tuple[Plane, Plane, Plane]:
    """Shares of skull and scalp around the hull of the brain, and of all that lies within."""
    points = cv2.findNonZero(np.asarray(brain, np.uint8))
    hull = cv2.fillConvexPoly(np.zeros(brain.shape, np.uint8), cv2.convexHull(points), 1)
    out = -depth_mm(plane(hull)) - rng.uniform(0, 3)
    bone, fat = rng.uniform(4, 9), rng.uniform(3, 8)
    skull = soft(out) * soft(bone - out)
    return plane(skull), plane(soft(out - bone) * soft(bone + fat - out)), soft(-out)


def lesion(x: Plane, y: Plane, gap: Plane, rng: Generator) -> Plane:
    """None, a few spots, or a territory that the sulci bound."""
    total = np.zeros_like(x)
    for _ in range(int(rng.choice([0, 0, 1, 1, 3, 5]))):
        at, size = rng.normal(0, (26, 34)), rng.choice([rng.uniform(2, 6), rng.uniform(6, 26)])
        reach = np.hypot(x - at[0], (y - at[1]) * rng.uniform(0.7, 1.4))
        total = np.maximum(total, soft(size + 0.3 * gap.clip(0, 6) - reach, 2))
    return plane(total)


def spots(x: Plane, y: Plane, parts: list[Spot]) -> Plane:
    """Soft ellipses and their mirror images."""
    total = np.zeros_like(x)
    for across, along, wide, long, turn in parts:
        u, v = np.abs(x) - across, y - along
        a, b = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
        total = np.maximum(total, soft(plane((1 - np.hypot(a / wide, b / long)) * min(wide, long))))
    return plane(total)


def soft(inside_mm: Plane, edge_mm: float = 1.2) -> Plane:
    """1 inside, 0 outside, with an edge of twice so many mm."""
    return plane(np.clip(inside_mm / (2 * edge_mm) + 0.5, 0, 1))


def plane(values: NDArray[np.generic]) -> Plane:
    return np.asarray(values, np.float32)
