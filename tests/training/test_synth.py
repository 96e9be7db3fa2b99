"""The generator repeats itself to the byte, tells the truth about its cases, and needs no torch."""

import subprocess
import sys
from collections import Counter
from hashlib import sha256
from io import BytesIO

import pytest
from numpy.random import default_rng
from PIL import Image

from training.screen import CAMERA
from training.synth import (
    AF_KNOWN,
    AF_MISSING,
    MODES,
    SyntheticCase,
    atrial_fibrillation,
    case,
)

SEEDS = range(8)


@pytest.fixture(scope="module")
def cases() -> list[SyntheticCase]:
    return [case(seed) for seed in SEEDS]


def test_a_seed_always_gives_the_same_bytes(cases: list[SyntheticCase]) -> None:
    assert [case(seed) for seed in SEEDS[:3]] == cases[:3]


def test_another_process_draws_the_same_case(cases: list[SyntheticCase]) -> None:
    code = (
        "import sys; from hashlib import sha256; from training.synth import case\n"
        "print(sha256(b''.join(i.data for i in case(1).images)).hexdigest(), 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    digest, has_torch = said.stdout.split()
    data = b"".join(image.data for image in cases[1].images)
    assert digest == sha256(data).hexdigest()
    assert has_torch == "False"


def test_every_file_is_a_picture_of_its_kind(cases: list[SyntheticCase]) -> None:
    for image in (image for one in cases for image in one.images):
        with Image.open(BytesIO(image.data)) as opened:
            opened.load()
            assert opened.format == "JPEG" or image.kind == "document"
            assert image.kind == "document" or max(opened.size) <= 1280


def test_a_case_has_one_to_five_images_that_all_name_the_same_fictional_patient(
    cases: list[SyntheticCase],
) -> None:
    for one in cases:
        assert 1 <= len(one.images) <= 5
        names = {text for image in one.images for text in image.text if "ПАЦИЕНТ" in text}
        names |= {text for image in one.images for text in image.text if "PATIENT" in text}
        assert names in ({f"TEST PATIENT {one.seed:04d}"}, {f"ТЕСТОВЫЙ ПАЦИЕНТ {one.seed:04d}"})


def test_a_phone_writes_its_name_and_place_into_a_document(cases: list[SyntheticCase]) -> None:
    images = [image for seed in (*SEEDS, 16, 17) for image in case(seed).images]
    by_phone = [image for image in images if CAMERA in image.text]
    assert by_phone
    assert all(CAMERA.encode() in image.data for image in by_phone)
    assert all(image.channel == "screen-photo" for image in by_phone)


def test_each_pattern_belongs_to_the_cause_of_its_case(cases: list[SyntheticCase]) -> None:
    assert {one.cause for one in cases} == {"cardioembolic", "large-artery"}
    assert all(one.pattern in MODES["easy"][one.cause] for one in cases)


def test_the_cause_can_be_chosen() -> None:
    assert case(3, cause="cardioembolic").cause == "cardioembolic"
    assert case(3, cause="large-artery").cause == "large-artery"
    with pytest.raises(KeyError):
        case(3, cause="small-vessel")


def test_atrial_fibrillation_is_often_unknown_and_rarely_found_without_embolism() -> None:
    rng = default_rng(0)
    for cause, known in AF_KNOWN.items():
        answers = Counter(atrial_fibrillation(cause, rng) for _ in range(4000))
        assert answers["unknown"] / 4000 == pytest.approx(AF_MISSING, abs=0.03)
        assert answers["yes"] / (answers["yes"] + answers["no"]) == pytest.approx(known, abs=0.04)
