"""A dataset in a moment: drawn heads with one bright blot, large in one cause and small in the other."""

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from domain.stroke import PREDICTED, Cause
from projections.rows import Row, RowImage, RowLabel, Split
from training import dataset
from training.testing.truth import Truth, write_truth

SIZE = 96
SIDES: dict[Cause, int] = {"cardioembolic": 30, "large-artery": 8}
SPLITS: tuple[Split, ...] = ("train", "train", "train", "validation", "test")
PATTERNS = ("single-cortical", "scattered")


def picture(number: int, shot: int, side: int) -> bytes:
    rng = np.random.default_rng((number, shot))
    noise = rng.integers(0, 30, (SIZE + 20, SIZE), np.uint8)
    inside = np.zeros_like(noise)
    cv2.ellipse(inside, (SIZE // 2, SIZE // 2 + 10), (38, 46), 0, 0, 360, 1, -1)
    grey = inside * (noise + np.uint8(80))
    x, y = rng.integers(28, 40, 2)
    grey[y : y + side, x : x + side] = 235
    return cv2.imencode(".png", grey)[1].tobytes()


def row(number: int, images: list[bytes]) -> Row:
    cause = PREDICTED[number // len(SPLITS) % 2]
    label = RowLabel(cause=cause, level=2, evidence=("ecg",), stage="discharge", rater="somebody")
    return Row(
        case=f"case-{number:04d}",
        site="north",
        patient=f"patient-{number}",
        origin="synthetic",
        images=tuple(
            RowImage(
                sha256=sha256(image).hexdigest(),
                width=SIZE,
                height=SIZE,
                modality="mri",
                channel="screenshot",
                profile="drawn",
            )
            for image in images
        ),
        context={"af": ("yes", "no", "unknown")[number % 3], "age_band": "65-74"},
        label=label,
        split=SPLITS[number % len(SPLITS)],
        events=(),
    )


def write(folder: Path, cases: int = 80) -> Path:
    """So many cases of one to three images each; three of five are for training."""
    rows = []
    for number in range(cases):
        side = SIDES[PREDICTED[number // len(SPLITS) % 2]]
        images = [picture(number, shot, side) for shot in range(1 + number % 3)]
        dataset.write_images(folder, {sha256(image).hexdigest(): image for image in images})
        rows.append(row(number, images))
    dataset.write(folder, rows, {"generator": "blots", "cases": cases})
    write_truth(
        folder,
        [Truth(case=each.case, pattern=PATTERNS[at % 2]) for at, each in enumerate(rows) if at % 4],
    )
    return folder
