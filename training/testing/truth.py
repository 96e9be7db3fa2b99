"""What is known of made-up cases beyond their rows: `truth.ndjson` beside a dataset's rows, and
`lesions/<sha256>.png`, white where a derivative shows acute lesion."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image

TRUTH_FILE = "truth.ndjson"
LESIONS = "lesions"

Mask = NDArray[np.bool_]
"""Height x width of a derivative."""


class Truth(Struct, frozen=True, kw_only=True):
    """`lesion_ml` is the volume of the lesion, `layout` the viewer it was shown in, `oracle` the
    permille of the positive cause that who knows the table of frequencies would give for pattern and
    atrial fibrillation, `ceiling` for all that depends on the cause; `lesions` the pixels of lesion on
    each derivative, by its SHA-256."""

    case: str
    pattern: str = ""
    lesion_ml: float | None = None
    layout: str = ""
    oracle: int | None = None
    ceiling: int | None = None
    lesions: dict[str, int] = {}


def write_truth(folder: Path, truths: Iterable[Truth]) -> None:
    lines = (msgspec.json.encode(truth, order="sorted") + b"\n" for truth in truths)
    (folder / TRUTH_FILE).write_bytes(b"".join(lines))


def read_truth(folder: Path) -> dict[str, Truth]:
    """By case; empty where there is none, as for every case from life."""
    file = folder / TRUTH_FILE
    if not file.exists():
        return {}
    known = [msgspec.json.decode(line, type=Truth) for line in file.read_bytes().splitlines()]
    return {truth.case: truth for truth in known}


def mask_png(lesion: Mask) -> bytes:
    """One bit for each pixel."""
    one_bit = (cv2.IMWRITE_PNG_BILEVEL, 1)
    return cv2.imencode(".png", lesion.astype(np.uint8), one_bit)[1].tobytes()


def write_lesions(folder: Path, masks: dict[str, bytes]) -> None:
    """Masks as PNG by the SHA-256 of their derivatives."""
    (folder / LESIONS).mkdir(parents=True, exist_ok=True)
    for digest, data in masks.items():
        (folder / LESIONS / f"{digest}.png").write_bytes(data)


def read_lesion(folder: Path, digest: str) -> Mask | None:
    """None where nothing is known."""
    file = folder / LESIONS / f"{digest}.png"
    if not file.exists():
        return None
    with Image.open(file) as mask:
        return np.array(mask, np.bool_)
