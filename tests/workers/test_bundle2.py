"""A bundle of two graphs: many cases together get the bits that each gets alone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from domain.stroke import PREDICTED
from ictus.cli.errors import exit_code
from ictus.vouching import require_trust, sign, signer
from tests import bundles
from training import bundle as bundle_files
from training.synth import case
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.inference.graphs import Bag, Told
from workers.inference.manifest import (
    CARD_FILE,
    ENCODER_FILE,
    GRAPHS,
    HEAD_FILE,
    MANIFEST_FILE,
    BundleRefused,
    Conformal,
    read_manifest,
)
from workers.ingest.pipeline import Ingested, process

COUNTS = (1, 2, 3, 5, 8, 9, 17, 4, 6, 33)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.made(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def classifier(made: Path) -> Classifier:
    return Classifier.load(made)


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    outcomes = [process(image.data) for image in case(500_001).images]
    return [done.derivative for done in outcomes if isinstance(done, Ingested)]


def same(one: Told, other: Told) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_an_embedding_does_not_depend_on_what_is_encoded_beside_it(classifier: Classifier) -> None:
    tiles = np.concatenate([each[0] for each in bundles.cases(COUNTS)])
    together = classifier.encode(tiles)
    alone = np.concatenate([classifier.encode(tile[None]) for tile in tiles])
    assert np.array_equal(together, alone)


def test_a_case_does_not_depend_on_who_is_decided_beside_it(classifier: Classifier) -> None:
    bags = [Bag(classifier.encode(tiles), *rest) for tiles, *rest in bundles.cases(COUNTS * 3)]
    together = classifier.graphs.decide(bags)
    alone = [classifier.graphs.decide([bag])[0] for bag in bags]
    backwards = classifier.graphs.decide(bags[::-1])[::-1]
    assert all(map(same, together, alone))
    assert all(map(same, together, backwards))


def test_onnx_computes_what_torch_computes(made: Path) -> None:
    encoder, head = bundles.parts()
    asked = made, read_manifest(made), encoder, head, bundles.cases(COUNTS)
    bundle_files.hold_to_parity(*asked)
    head.temperature.fill_(1.301)
    with pytest.raises(bundle_files.NotTheSame, match="ONNX differs from torch"):
        bundle_files.hold_to_parity(*asked)


def test_what_computes_otherwise_becomes_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle_files, "PARITY_MAX", -1.0)
    with pytest.raises(bundle_files.NotTheSame) as differs:
        bundles.made(tmp_path)
    with pytest.raises(BundleRefused):
        read_manifest(tmp_path)
    assert exit_code(differs.value) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_context_and_sequence_count_and_the_order_of_images_does_not(
    classifier: Classifier, images: list[bytes]
) -> None:
    known = Context(af="yes", age_band="75-84")
    named = [("mri-dwi",) for _ in images]
    said = classifier.predict(images, known, named)
    assert said == classifier.predict(images, known, named)
    turned = classifier.predict(images[::-1], known, named)
    assert turned.ranked == said.ranked
    assert turned.attention_permille == said.attention_permille[::-1]
    others = [
        classifier.predict(images, Context(af="yes"), named),
        classifier.predict(images, Context(af="no", age_band="75-84"), named),
        classifier.predict(images, known, [("mri-adc",) for _ in images]),
        classifier.predict(images, known),
    ]
    assert said.ranked not in [other.ranked for other in others]
    assert sum(said.patterns.values()) == pytest.approx(1000, abs=1)


@pytest.mark.parametrize(
    ("limits", "decision"),
    [((0, 0), "abstain"), ((501, 501), "answer"), ((1001, 1001), "abstain")],
    ids=["both open", "one open", "none open"],
)
def test_it_answers_when_one_cause_is_left_open(
    bundle: Path, images: list[bytes], limits: tuple[int, int], decision: str
) -> None:
    sets = Conformal(alpha_permille=100, limits=dict(zip(PREDICTED, limits, strict=True)), cases={})
    said = Classifier.load(bundles.changed(bundle, conformal=sets)).predict(images)
    assert said.decision == decision
    assert said.left_open == (said.ranked[0][:1] if decision == "answer" else PREDICTED)


def test_it_does_not_answer_with_the_less_likely_cause(bundle: Path, images: list[bytes]) -> None:
    top = Classifier.load(bundle).predict(images).ranked[0][0]
    limits = {cause: 1001 if cause == top else 0 for cause in PREDICTED}
    sets = Conformal(alpha_permille=100, limits=limits, cases={})
    said = Classifier.load(bundles.changed(bundle, conformal=sets)).predict(images)
    assert (said.decision, said.left_open) == ("abstain", PREDICTED)


def test_what_is_far_from_the_training_cases_is_declined(bundle: Path, images: list[bytes]) -> None:
    near = Classifier.load(bundle).predict(images)
    farthest = near.distance * 0.99
    said = Classifier.load(bundles.changed(bundle, distance_max=farthest)).predict(images)
    assert said.decision == "out-of-distribution"
    assert said.left_open == PREDICTED
    assert near.decision == "answer"


@pytest.mark.parametrize("name", [ENCODER_FILE, HEAD_FILE, CARD_FILE])
def test_an_altered_file_is_refused(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    with pytest.raises(BundleRefused, match="not the file its manifest names"):
        Classifier.load(bundle)


def test_a_manifest_that_names_other_graphs_than_it_counts_is_refused(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    bundles.changed(bundle, sha256="0" * 64)
    with pytest.raises(BundleRefused, match="not that of its graphs"):
        Classifier.load(bundle)
    bundles.changed(bundle, sha256=manifest.sha256, files={CARD_FILE: manifest.files[CARD_FILE]})
    with pytest.raises(BundleRefused, match=r"does not name encoder\.onnx and head\.onnx"):
        Classifier.load(bundle)


def test_a_bundle_says_what_it_is_and_what_is_missing(made: Path) -> None:
    card = (made / CARD_FILE).read_text("utf-8")
    assert "CLAIM" in card
    assert "TRIPOD+AI" in card
    assert "External validation" in card
    assert "missing" in card.lower()
    assert all(str(made) not in (made / name).read_text("latin-1") for name in GRAPHS)


def test_a_signature_holds_until_the_manifest_changes(bundle: Path, tmp_path: Path) -> None:
    assert signer(bundle) is None
    require_trust(bundle, frozenset())
    with pytest.raises(BundleRefused, match="was not signed"):
        require_trust(bundle, frozenset({"somebody"}))
    key = sign(bundle, tmp_path / "key")
    assert signer(bundle) == key == sign(bundle, tmp_path / "key")
    require_trust(bundle, frozenset({key}))
    with pytest.raises(BundleRefused, match="was signed by"):
        require_trust(bundle, frozenset({"somebody"}))
    (bundle / MANIFEST_FILE).write_bytes((bundle / MANIFEST_FILE).read_bytes() + b"\n")
    with pytest.raises(BundleRefused, match="changed after it was signed"):
        require_trust(bundle, frozenset())
