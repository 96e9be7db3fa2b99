"""Synthetic stroke cases for tests and the demo: phantoms with a known cause, not patients.

Lesion patterns follow published tendencies only loosely; nothing trained on them has any clinical
meaning. The same (VERSION, seed, cause, mode) gives the same bytes with the same OpenCV and Pillow.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.random import PCG64, Generator

from domain.stroke import Modality, band
from training.phantom import SLICES_MM, Blob, Head, Lesion, Wedge, dwi_slice, lesion_areas
from training.screen import CAMERA, Kind, encode, identity, photograph, screenshot

VERSION = "synth@1"

Channel = Literal["screenshot", "screen-photo"]
MODALITY: Modality = "mri-dwi"


class SyntheticImage(Struct, frozen=True, kw_only=True):
    """One file as a clinician sends it; `text`: every fictional line burnt in or in its EXIF."""

    data: bytes
    kind: Kind
    channel: Channel
    modality: Modality
    text: tuple[str, ...]


class SyntheticCase(Struct, frozen=True, kw_only=True):
    """A made-up case and its truth. `af` is what a clinician would answer: yes, no or unknown."""

    seed: int
    cause: str
    pattern: str
    age_band: str
    af: str
    images: tuple[SyntheticImage, ...]


def case(seed: int, *, cause: str | None = None, mode: str = "easy") -> SyntheticCase:
    """Case `seed`; without `cause` both are equally likely. KeyError: unknown mode or cause."""
    rng = Generator(PCG64(seed))
    toss = str(rng.choice(list(MODES[mode])))
    truth = cause or toss
    pattern = _draw(MODES[mode][truth], rng)
    head = Head.draw(rng)
    lesions = PATTERNS[pattern](head, rng)
    return SyntheticCase(
        seed=seed,
        cause=truth,
        pattern=pattern,
        age_band=band("age_band", rng.normal(*AGE_YEARS[truth])),
        af=atrial_fibrillation(truth, rng),
        images=_images(seed, head, lesions, rng),
    )


AGE_YEARS = {"cardioembolic": (74, 10), "large-artery": (68, 11)}
AF_KNOWN = {"cardioembolic": 0.45, "large-artery": 0.04}
AF_MISSING = 0.35
IMAGES_SHARE = (0.15, 0.25, 0.25, 0.2, 0.15)
PANES_SHARE = {1: 0.82, 2: 0.1, 4: 0.08}
SCREEN_PHOTO_SHARE = 0.3
DOCUMENT_SHARE = 0.3


def atrial_fibrillation(cause: str, rng: Generator) -> str:
    """What a clinician would answer: often not known yet, otherwise far likelier with embolism."""
    missing, draw = rng.random(2)
    if missing < AF_MISSING:
        return "unknown"
    return "yes" if draw < AF_KNOWN[cause] else "no"


def _images(
    seed: int, head: Head, lesions: tuple[Lesion, ...], rng: Generator
) -> tuple[SyntheticImage, ...]:
    """Key images: slices with more lesion are likelier, so a remote lesion is sometimes missed."""
    count = int(rng.choice(len(IMAGES_SHARE), p=IMAGES_SHARE)) + 1
    areas = lesion_areas(head, lesions)
    weights = np.sqrt(areas + 0.005 * areas.max() + 0.5)
    order = rng.choice(len(SLICES_MM), len(SLICES_MM), replace=False, p=weights / weights.sum())
    channel: Channel = "screen-photo" if rng.random() < SCREEN_PHOTO_SHARE else "screenshot"
    who = identity(seed, rng)
    images, at = [], 0
    for _ in range(count):
        panes = int(rng.choice(list(PANES_SHARE), p=list(PANES_SHARE.values())))
        heights = sorted(SLICES_MM[order[(at + pane) % len(order)]] for pane in range(panes))
        at += panes
        images.append(_image(head, lesions, heights, channel, who, rng))
    return tuple(images)


def _image(
    head: Head,
    lesions: tuple[Lesion, ...],
    heights_mm: list[float],
    channel: Channel,
    who: tuple[str, ...],
    rng: Generator,
) -> SyntheticImage:
    canvas, text = screenshot([dwi_slice(head, lesions, z, rng) for z in heights_mm], who, rng)
    camera = channel == "screen-photo"
    if camera:
        canvas = photograph(canvas, rng)
    kind: Kind = "document" if rng.random() < DOCUMENT_SHARE else "photo"
    if camera and kind == "document":
        text += (CAMERA,)
    data = encode(canvas, kind, camera, rng)
    return SyntheticImage(data=data, kind=kind, channel=channel, modality=MODALITY, text=text)


def _draw(shares: dict[str, float], rng: Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _side(rng: Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _angle(side: int, front_degrees: float) -> float:
    """An angle on one side: 0 = straight to the side, 90 = front, -90 = back."""
    return float(np.radians(front_degrees if side > 0 else 180 - front_degrees))


def _wedge(side: int, millilitres: float, rng: Generator) -> Wedge:
    """A middle-cerebral-artery wedge whose volume is about log-normal around `millilitres`."""
    volume = millilitres * np.exp(0.5 * rng.standard_normal())
    grow = float(np.clip((volume / 42) ** (1 / 3), 0.6, 1.5))
    return Wedge(
        angle=_angle(side, rng.uniform(-25, 35)),
        half_angle=0.5 * grow,
        depth_mm=38 * min(grow, 1.1),
        z=rng.uniform(46, 74),
        half_height_mm=24 * grow,
    )


def _cortical(
    head: Head, side: int, degrees: tuple[float, float], z: float, rng: Generator
) -> Blob:
    """A small lesion at or just under the cortex."""
    x, y = head.at_surface(_angle(side, rng.uniform(*degrees)), rng.uniform(4, 20), z)
    return Blob(x, y, z, rng.uniform(2.5, 5.5))


def territorial(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    return (_wedge(_side(rng), 42, rng),)


def bilateral_anterior(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    side, count = _side(rng), rng.integers(2, 5)
    far = (_cortical(head, -side, (-30, 70), rng.uniform(45, 90), rng) for _ in range(count))
    return (_wedge(side, 30, rng), *far)


def anterior_posterior(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    side, count = _side(rng), rng.integers(2, 5)
    back = (_cortical(head, _side(rng), (-88, -50), rng.uniform(18, 60), rng) for _ in range(count))
    return (_wedge(side, 30, rng), *back)


def scattered(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    side, middle, count = _side(rng), rng.uniform(48, 78), rng.integers(5, 11)
    heights = rng.normal(middle, 9, count)
    return tuple(_cortical(head, side, (-35, 65), float(z), rng) for z in heights)


def internal_border_zone(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    """A rosary: small lesions in a row beside the ventricle's body, deep in the white matter."""
    side, count, z = _side(rng), rng.integers(3, 7), rng.uniform(68, 88)
    rows = np.linspace(-24, 26, count) + rng.normal(0, 2, count)
    x = side * rng.uniform(23, 30)
    return tuple(
        Blob(x + rng.normal(0, 1.5), float(y), z + rng.normal(0, 3), rng.uniform(3, 5))
        for y in rows
    )


Pattern = Callable[[Head, Generator], tuple[Lesion, ...]]
PATTERNS: dict[str, Pattern] = {
    "territorial": territorial,
    "bilateral-anterior": bilateral_anterior,
    "anterior-posterior": anterior_posterior,
    "scattered": scattered,
    "internal-border-zone": internal_border_zone,
}

# Mode -> cause -> share of each pattern (normalised). A harder mode is another entry.
MODES: dict[str, dict[str, dict[str, float]]] = {
    "easy": {
        "cardioembolic": {
            "territorial": 0.27,
            "bilateral-anterior": 0.07,
            "anterior-posterior": 0.09,
        },
        "large-artery": {"scattered": 0.19, "internal-border-zone": 0.08},
    },
}
