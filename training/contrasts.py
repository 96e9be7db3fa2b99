"""The phantom as other sequences and a CT show it: the order of tissues' greys as textbooks give it.

T1: white above grey matter above fluid, fat brightest. T2: the reverse, fat still bright. FLAIR: T2 without
fluid. ADC: fluid brightest, an acute lesion dark, no scalp to speak of. CT: bone white, grey matter slightly
above white, an old or large lesion dark. DWI is the phantom's own. Greys are a developer's, not a scanner's.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator

from domain.stroke import Modality
from training.phantom import SLICES_MM, Head, Lesion, Plane, Tissues, dwi_slice, scanned, tissues
from training.synth import PATTERNS

LESIONS_SHARE: Final = 0.6
SPREAD: Final = 0.12
"""Each grey differs between scanners by this share of itself."""


class Levels(NamedTuple):
    """Greys, 0 to about 1."""

    white: float
    grey: float
    fluid: float
    skull: float
    scalp: float
    lesion: float


CONTRASTS: Final[dict[Modality, Levels]] = {
    "mri-dwi": Levels(0.36, 0.46, 0.12, 0.02, 0.08, 0.95),
    "mri-adc": Levels(0.27, 0.32, 0.95, 0.03, 0.1, 0.14),
    "mri-flair": Levels(0.42, 0.54, 0.09, 0.04, 0.55, 0.88),
    "mri-t2": Levels(0.36, 0.5, 0.95, 0.05, 0.55, 0.75),
    "mri-t1": Levels(0.72, 0.54, 0.2, 0.06, 0.92, 0.4),
    "ct": Levels(0.4, 0.48, 0.22, 1.2, 0.42, 0.26),
}
"""What a slice can be drawn as."""

FAT_SUPPRESSED_SHARE: Final = 0.3
FAT_SUPPRESSED: Final = frozenset[Modality]({"mri-flair", "mri-t1", "mri-t2"})
OWN_SHARE: Final = 0.6
"""Of diffusion slices that are the phantom's own."""


def drawn(modality: Modality, rng: Generator) -> Plane:
    """A slice of a fresh head, about 0 to 1, (SLICE_PIXELS, SLICE_PIXELS); KeyError if it has no contrast."""
    head, z = Head.draw(rng), float(rng.choice(SLICES_MM[2:-2]))
    lesions = some_lesions(head, rng)
    if modality == "mri-dwi" and rng.random() < OWN_SHARE:
        return dwi_slice(head, lesions, z, rng)
    return slice_of(modality, head, lesions, z, rng)


def some_lesions(head: Head, rng: Generator) -> tuple[Lesion, ...]:
    """Those of one of the synthetic causes, or none."""
    if rng.random() > LESIONS_SHARE:
        return ()
    return PATTERNS[str(rng.choice(list(PATTERNS)))](head, rng)


def slice_of(
    modality: Modality, head: Head, lesions: tuple[Lesion, ...], z: float, rng: Generator
) -> Plane:
    """One slice of a head in a contrast."""
    return pictured(modality, tissues(head, lesions, z), rng)


def pictured(modality: Modality, at: Tissues, rng: Generator) -> Plane:
    """Tissues in a contrast, as one scanner shows them."""
    levels = varied(modality, rng)
    level = levels.white + (levels.grey - levels.white) * at.grey
    level = level + (levels.fluid - level) * at.fluid
    level = level + (levels.lesion - level) * at.lesion * np.float32(rng.uniform(0.5, 1.0))
    level = level + (levels.skull - level) * 0.75 * at.inner_bone
    outside = levels.skull * at.skull + levels.scalp * at.scalp
    return scanned(np.asarray(level * at.brain + outside + 0.01, np.float32), rng)


def varied(modality: Modality, rng: Generator) -> Levels:
    """The greys of one scanner; now and then with its fat suppressed."""
    levels = Levels(*np.array(CONTRASTS[modality]) * rng.normal(1, SPREAD, 6).clip(0.7, 1.3))
    if modality in FAT_SUPPRESSED and rng.random() < FAT_SUPPRESSED_SHARE:
        return levels._replace(scalp=levels.scalp * 0.3)
    return levels
