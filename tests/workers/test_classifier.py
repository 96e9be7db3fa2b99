"""The committed bundle answers as it should, refuses what it must, and needs no torch."""

import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import msgspec
import pytest

from ictus.models import DEMO_BUNDLE
from tests.bundle1 import BUNDLE_1
from training.synth import SyntheticCase, case
from workers.inference.classifier import Classifier, NothingToSee
from workers.inference.context import Context
from workers.inference.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    BundleRefused,
    read_manifest,
)
from workers.ingest.pipeline import Ingested, process

UNSEEN = range(500_000, 500_012)


def derivatives(made: SyntheticCase) -> list[bytes]:
    outcomes = [process(image.data) for image in made.images]
    return [done.derivative for done in outcomes if isinstance(done, Ingested)]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(BUNDLE_1)


@pytest.fixture(scope="module")
def unseen() -> list[tuple[SyntheticCase, list[bytes]]]:
    return [(made, derivatives(made)) for made in map(case, UNSEEN)]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BUNDLE_1, tmp_path / "bundle"))


def test_unseen_synthetic_cases_are_told_apart(
    classifier: Classifier, unseen: list[tuple[SyntheticCase, list[bytes]]]
) -> None:
    right = [
        classifier.predict(images, Context(af=made.af)).ranked[0][0] == made.cause
        for made, images in unseen
    ]
    assert sum(right) >= 0.85 * len(right)


def test_the_order_of_images_changes_nothing(
    classifier: Classifier, unseen: list[tuple[SyntheticCase, list[bytes]]]
) -> None:
    images = next(images for _, images in unseen if len(images) >= 3)[:3]
    first = classifier.predict(images)
    for order in permutations(range(3)):
        again = classifier.predict([images[at] for at in order])
        attention = tuple(first.attention_permille[at] for at in order)
        assert again == msgspec.structs.replace(first, attention_permille=attention)


def test_an_answer_about_atrial_fibrillation_changes_the_prediction(
    classifier: Classifier, unseen: list[tuple[SyntheticCase, list[bytes]]]
) -> None:
    for _, images in unseen[:6]:
        embolic = {
            af: dict(classifier.predict(images, Context(af=af)).ranked)["cardioembolic"]
            for af in ("yes", "unknown", "no")
        }
        assert embolic["yes"] > embolic["unknown"] > embolic["no"]


def test_permille_add_up_and_the_interval_holds_the_answer(
    classifier: Classifier, unseen: list[tuple[SyntheticCase, list[bytes]]]
) -> None:
    for made, images in unseen:
        said = classifier.predict(images, Context(af=made.af))
        low, high = said.interval_permille
        assert sum(share for _, share in said.ranked) == 1000
        assert said.ranked[0][1] >= said.ranked[1][1]
        assert 0 <= low <= said.ranked[0][1] <= high <= 1000
        assert len(said.attention_permille) == len(images)
        assert abs(sum(said.attention_permille) - 1000) <= len(images)


def test_the_model_abstains_when_it_cannot_tell(
    bundle: Path, unseen: list[tuple[SyntheticCase, list[bytes]]]
) -> None:
    strict = msgspec.structs.replace(read_manifest(bundle), abstain_below=1001)
    (bundle / MANIFEST_FILE).write_bytes(msgspec.json.encode(strict))
    assert Classifier.load(bundle).predict(unseen[0][1]).decision == "abstain"


def test_the_runtime_is_on_record(classifier: Classifier) -> None:
    assert "onnxruntime" in classifier.runtime
    assert "CPUExecutionProvider" in classifier.runtime
    assert classifier.manifest.sha256[:12] in classifier.runtime


def test_nothing_to_see_is_said_so(classifier: Classifier) -> None:
    with pytest.raises(NothingToSee):
        classifier.predict([])


def test_an_unknown_answer_about_atrial_fibrillation_is_an_error() -> None:
    with pytest.raises(ValueError, match="perhaps"):
        Context(af="perhaps")


def test_an_altered_model_is_refused(bundle: Path) -> None:
    data = bytearray((bundle / MODEL_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / MODEL_FILE).write_bytes(data)
    with pytest.raises(BundleRefused, match="not the file its manifest names"):
        Classifier.load(bundle)


def test_a_model_for_other_pixels_is_refused(bundle: Path) -> None:
    other = msgspec.structs.replace(read_manifest(bundle), pixels="tiles@0")
    (bundle / MANIFEST_FILE).write_bytes(msgspec.json.encode(other))
    with pytest.raises(BundleRefused, match="tiles@0"):
        Classifier.load(bundle)


@pytest.mark.parametrize("name", [MODEL_FILE, MANIFEST_FILE])
def test_an_incomplete_bundle_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleRefused, match=name):
        Classifier.load(bundle)


def test_a_malformed_manifest_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST_FILE).write_bytes(b'{"name": "synthetic-demo"}')
    with pytest.raises(BundleRefused, match=MANIFEST_FILE):
        Classifier.load(bundle)


def test_the_bundle_says_what_it_is_and_how_good(classifier: Classifier) -> None:
    manifest = classifier.manifest
    assert manifest.role == "demo"
    assert manifest.synthetic
    assert "no clinical meaning" in manifest.notice["en"]
    assert "клинического значения не имеет" in manifest.notice["ru"]
    assert manifest.metrics["n"] >= 100
    assert manifest.metrics["auroc"] >= 0.9
    assert sum(file.stat().st_size for file in DEMO_BUNDLE.iterdir()) < 5_000_000


def test_inference_needs_no_torch() -> None:
    code = "import sys; import workers.inference.classifier; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert said.stdout.strip() == "False"
