"""A synthetic case tells the truth about every pixel and line of text, and repeats itself to the byte."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from io import BytesIO

import cv2
import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray
from PIL import Image

from training.screen import CAMERA
from training.synthetic.cases import Case, Picture, case
from training.synthetic.facts import Finding, Plan
from training.synthetic.frequencies import TABLE, Mode, Pattern
from training.synthetic.lesions import coarse_mask, lesions_of
from training.synthetic.scan import HEAD, LESION, OUTSIDE
from training.synthetic.territories import VOXEL_ML, Atlas
from training.synthetic.truth import files_of

NUMBERS = range(14)


@cache
def made(mode: Mode = "realistic") -> tuple[Case, ...]:
    plan = Plan(mode=mode, seed=5, others=0.1)
    return tuple(case(plan, number) for number in NUMBERS)


def pictures() -> list[Picture]:
    return [picture for one in made() for picture in one.pictures]


def pixels(picture: Picture) -> NDArray[np.uint8]:
    with Image.open(BytesIO(picture.data)) as image:
        return np.asarray(image.convert("RGB"))


def digest(plan: Plan, number: int) -> str:
    files = files_of(plan, case(plan, number))
    return sha256(b"".join(name.encode() + data for name, data in files.items())).hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_another_process_with_other_hashes_and_threads_draws_the_same_bytes(hash_seed: str) -> None:
    code = (
        "import cv2, sys; from hashlib import sha256; cv2.setNumThreads(3)\n"
        "from training.synthetic.cases import case; from training.synthetic.facts import Plan\n"
        "from training.synthetic.truth import files_of\n"
        "plan = Plan(seed=5, hostile=1.0)\n"
        "for n in (4, 2):\n"
        "    files = files_of(plan, case(plan, n))\n"
        "    print(sha256(b''.join(k.encode() + v for k, v in files.items())).hexdigest())\n"
        "assert 'torch' not in sys.modules"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONHASHSEED": hash_seed, "PATH": "/usr/bin:/bin"},
    )
    plan = Plan(seed=5, hostile=1.0)
    assert said.stdout.split() == [digest(plan, 4), digest(plan, 2)]


def test_other_seeds_and_numbers_are_other_cases() -> None:
    plans = (Plan(seed=5), Plan(seed=6))
    assert len({digest(plan, number) for plan in plans for number in (0, 1)}) == 4


def test_null_shows_the_same_pictures_as_realistic_under_other_labels() -> None:
    for real, null in zip(made()[:5], made("null"), strict=False):
        assert [one.data for one in real.pictures] == [one.data for one in null.pictures]


def test_every_file_is_a_picture_and_its_truth_has_its_size() -> None:
    for picture in pictures():
        assert pixels(picture).shape[:2] == picture.truth.shape
        assert picture.kind == "document" or max(picture.truth.shape) <= 1280
        assert set(np.unique(picture.truth)) <= {OUTSIDE, HEAD, LESION}


def test_lesions_lie_inside_heads() -> None:
    seen = 0
    for picture in pictures():
        lesion = (picture.truth == LESION).astype(np.uint8)
        around = cv2.dilate(lesion, np.ones((3, 3), np.uint8)) > 0
        inner = np.zeros_like(around)
        inner[2:-2, 2:-2] = True
        assert not (around & inner & (picture.truth == OUTSIDE)).any()
        seen += int(lesion.sum())
    assert seen > 1000


def test_an_acute_lesion_is_bright_in_diffusion_and_dark_in_adc() -> None:
    sides = {"mri-dwi": 1, "mri-adc": -1}
    compared = 0
    for picture in pictures():
        grey = pixels(picture).mean(2)
        lesion, head = picture.truth == LESION, picture.truth == HEAD
        if lesion.sum() < 400 or picture.shot.sequence not in sides:
            continue
        compared += 1
        difference = np.median(grey[lesion]) - np.median(grey[head])
        assert difference * sides[picture.shot.sequence] > 0
    assert compared >= 5


def test_every_line_of_text_has_ink_where_its_box_says() -> None:
    checked = 0
    for picture in pictures():
        image, (height, width) = pixels(picture).astype(int), picture.truth.shape
        for line in picture.texts:
            left, top, wide, high = line.box
            assert 0 <= left < left + wide <= width
            assert 0 <= top < top + high <= height
            if picture.channel == "screenshot" and len(line.text) > 5:
                assert np.ptp(image[top : top + high, left : left + wide]) > 60, line
                checked += 1
    assert checked > 50


def test_who_the_patient_is_stands_in_pictures_and_is_fictional() -> None:
    names = {
        line.text
        for picture in pictures()
        for line in picture.texts
        if line.is_pii and ("PATIENT" in line.text or "ПАЦИЕНТ" in line.text)
    }
    assert len(names) > 5
    assert all("TEST" in name or "ТЕСТ" in name for name in names)


def test_a_place_is_in_a_file_only_where_truth_says_so() -> None:
    files = [one for number in (10, 65, 70) for one in case(Plan(seed=5), number).pictures]
    assert {one.located for one in files} == {True, False}
    assert all((CAMERA.encode() in one.data) == one.located for one in files)


def test_a_duplicate_is_an_earlier_file_again() -> None:
    shown = [case(Plan(seed=5), number).pictures for number in (6, 11)]
    copies = [
        (one, all_[one.shot.duplicate_of])
        for all_ in shown
        for one in all_
        if one.shot.duplicate_of is not None
    ]
    assert copies
    assert all(one.data == earlier.data and one.truth is earlier.truth for one, earlier in copies)


@pytest.mark.parametrize("pattern", TABLE)
def test_each_pattern_lies_where_its_name_says(pattern: Pattern) -> None:
    for seed in range(4):
        rng = default_rng(seed)
        atlas = Atlas.draw(rng)
        tendency = TABLE[pattern]
        finding = Finding(
            pattern=pattern,
            main_ml=tendency.main_ml[0] if tendency.main_ml else 0.0,
            blobs=tendency.blobs[1].most,
            rosary=True,
        )
        lesion = coarse_mask(lesions_of(finding, atlas, rng), atlas)
        where = atlas.supplied(lesion)
        assert sum(where.values()) == pytest.approx(lesion.sum() * VOXEL_ML, abs=0.1)
        assert HOLDS[pattern](where, lesion.sum() * VOXEL_ML, finding), where


def sides(where: dict[str, float]) -> set[str]:
    return {name.rsplit("-", 1)[1] for name in where}


def circulation(where: dict[str, float]) -> set[str]:
    back = {"pca", "vertebrobasilar", "thalamoperforator"}
    return {"back" if name.rsplit("-", 1)[0] in back else "front" for name in where}


def one_side(where: dict[str, float]) -> bool:
    return len(sides(where)) == 1


def about(wanted: float, seen: float) -> bool:
    return 0.6 * wanted < seen < 1.4 * wanted


HOLDS: dict[str, Callable[[dict[str, float], float, Finding], bool]] = {
    "single-cortico-subcortical": lambda w, ml, f: one_side(w) and about(f.main_ml, ml),
    "single-cortical": lambda w, ml, f: one_side(w) and about(f.main_ml, ml),
    "large-subcortical": lambda w, ml, f: next(iter(w)).startswith("lenticulostriate"),
    "small-subcortical": lambda w, ml, f: ml < 6,
    "scattered": lambda w, ml, f: one_side(w) and ml < 10,
    "confluent-and-additional": lambda w, ml, f: one_side(w),
    "unilateral-anterior": lambda w, ml, f: one_side(w),
    "multiple-posterior": lambda w, ml, f: next(iter(w)).startswith(("pca", "vertebrobasilar")),
    "bilateral-anterior": lambda w, ml, f: sides(w) == {"left", "right"},
    "anterior-and-posterior": lambda w, ml, f: circulation(w) == {"front", "back"},
    "internal-border-zone": lambda w, ml, f: one_side(w) and ml < 12,
    "cortical-border-zone": lambda w, ml, f: one_side(w) and ml < 16,
}
