"""A real brain before the gate: slices of the MNI152 template, the mean of 152 people, in drawn contrasts.

Nothing is trained or tuned on it. The template comes with `nilearn`; its maps of grey and white matter tell
what lies where. Skull and scalp are drawn around, since the template has none.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks.measuring import share
from domain.stroke import Modality
from training.contrasts import pictured
from training.gate import heads
from training.gate.gyri import around
from training.phantom import FIELD_MM, SLICE_PIXELS, Plane, Tissues
from workers.ingest import recognise

FILE: Final = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
MAPS: Final = ("t1", "gm", "wm")
SLICES: Final = range(45, 140, 4)
"""From the temporal lobes to the vertex, 4 mm apart."""

BRAIN_MIN: Final = 0.02
SMALLER: Final = 0.93
"""So that a scalp fits into the field around the template, which is larger than most brains."""


def installed() -> Path | None:
    """The folder that holds the template, if any."""
    found = find_spec("nilearn")
    if not found or not found.origin or not find_spec("nibabel"):
        return None
    return Path(found.origin).parent / "datasets" / "data"


def figures(seed: int) -> dict[str, Any] | None:
    """Slices of MRI that were refused or named, by sequence; None where the template is not installed."""
    folder = installed()
    if folder is None:
        return None
    slices = list(heads_of(folder, seed))
    told = {
        modality: [named(modality, each, seed + at) for at, each in enumerate(slices)]
        for modality in recognise.MRI
    }
    every = [(said, name) for name, answers in told.items() for said in answers]
    return {
        "slices": len(every),
        "refused": share([said in (None, "ct") for said, _ in every]),
        "told_right": share([said == name for said, name in every]),
        "told_wrong": share([said in recognise.MRI and said != name for said, name in every]),
        "refused_by_sequence": {
            name: share([said in (None, "ct") for said in answers])
            for name, answers in told.items()
        },
    }


def heads_of(folder: Path, seed: int) -> Iterator[Tissues]:
    """Slices of the template in drawn skulls."""
    maps = [planes(folder / FILE.format(name)) for name in MAPS]
    for number, (t1, grey, white) in enumerate(zip(*maps, strict=True)):
        yield tissues(t1, grey, white, seed + number)


def planes(path: Path) -> list[Plane]:
    """Slices of a volume, its brightest voxel 1, where the phantom's would lie."""
    import nibabel

    volume = np.asarray(nibabel.load(path).dataobj, np.float32)
    return [centred(np.rot90(volume[:, :, z] / volume.max())) for z in SLICES]


def centred(plane: NDArray[np.float32]) -> Plane:
    """Voxels of 1 mm in the phantom's field."""
    height, width = plane.shape
    scale, middle = SMALLER * SLICE_PIXELS / FIELD_MM, SLICE_PIXELS / 2
    to = np.array([[scale, 0, middle - scale * width / 2], [0, scale, middle - scale * height / 2]])
    moved = cv2.warpAffine(np.ascontiguousarray(plane), to, (SLICE_PIXELS,) * 2)
    return np.asarray(moved, np.float32)


def tissues(t1: Plane, grey: Plane, white: Plane, seed: int) -> Tissues:
    """A slice of the template in a drawn skull."""
    brain = np.asarray(t1 > BRAIN_MIN, np.float32)
    skull, scalp, inside = around(brain, default_rng(seed))
    none = np.zeros_like(brain)
    return Tissues(inside, grey, (1 - grey - white).clip(0, 1), none, skull, scalp, none)


def named(modality: Modality, slice_: Tissues, seed: int) -> Modality | None:
    """What the gate takes a slice for, cut out as ingest does."""
    rng = default_rng(seed)
    tile = heads.head(heads.windowed(pictured(modality, slice_, rng), rng), rng)
    chances, strangeness = recognise.seen("sequence", tile[None, None])
    return recognise.named(chances[0], float(strangeness[0]))
