"""`ictus model test` and `compare` on synthetic cases, as people run them."""

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from ictus.models import DEMO_BUNDLE
from tests.training import blots
from training.synthetic.facts import Plan
from training.synthetic.rows import write
from training.testing.acceptance import read_acceptance
from training.testing.page import page_html
from training.testing.run import read_report
from training.testing.truth import read_truth
from workers.ingest.pipeline import PROFILE

CASES = 8
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write(Plan(mode="easy", seed=5, split="test"), CASES, folder, 2, lambda done, of: None)
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    shutil.copytree(DEMO_BUNDLE, tmp_path / "bundle")
    return tmp_path / "bundle"


def ictus(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ictus", "model", *map(str, words)], capture_output=True, text=True
    )


def test_a_bundle_is_held_to_its_limits_and_carries_the_report(
    bundle: Path, dataset: Path, tmp_path: Path
) -> None:
    page, limits = tmp_path / "report.html", tmp_path / "limits.toml"
    limits.write_text("[latency_p95_ms]\nat_most = 60000\n\n[moved_by_order]\nat_most = 0\n")
    asked = ("test", bundle, "--dataset", dataset, "--acceptance", limits)

    done = ictus(*asked, "--report", page, "--json")

    told = json.loads(done.stdout)
    assert (done.returncode, told["passed"], told["failed"]) == (0, True, []), done.stderr
    assert told["n"] <= CASES
    assert {"auroc", "auroc_low", "auroc_high", "ece", "coverage", "answered_rate"} <= set(told)
    assert None not in (told["oracle_auroc"], told["pointing"])
    assert 0 < told["pointing_by_chance"] < 0.5
    assert told["notice"]
    report = read_report(bundle)
    assert report
    assert report.figures["auroc"] == told["auroc"]
    html = page.read_text()
    assert "Passed: every limit holds" in html
    assert told["notice"] in html


def test_a_bundle_that_misses_a_limit_fails(bundle: Path, tmp_path: Path) -> None:
    dataset, limits = blots.write(tmp_path / "blots", 40), tmp_path / "limits.toml"
    limits.write_text("[auroc]\nat_least = 1.1\n")
    failed = ictus("test", bundle, "--dataset", dataset, "--acceptance", limits)
    assert failed.returncode == 5
    assert "NOT PASSED" in failed.stderr
    assert "FAILS" in failed.stdout


def test_a_test_on_cases_that_models_learn_from_leaves_the_report_that_is_carried(
    bundle: Path, tmp_path: Path
) -> None:
    learnt, limits = tmp_path / "learnt", tmp_path / "limits.toml"
    write(Plan(mode="easy", seed=5, split="train"), CASES, learnt, 2, lambda done, of: None)
    limits.write_text("[latency_p95_ms]\nat_most = 60000\n")
    before = (bundle / "report.json").read_bytes()
    asked = ("test", bundle, "--dataset", learnt, "--split", "train", "--acceptance", limits)
    done = ictus(*asked)
    assert done.returncode == 0, done.stderr
    assert "report.json was not written" in done.stderr
    assert (bundle / "report.json").read_bytes() == before


def test_a_bundle_does_as_well_as_itself(bundle: Path, dataset: Path) -> None:
    done = ictus("compare", bundle, DEMO_BUNDLE, "--dataset", dataset, "--json")
    told = json.loads(done.stdout)
    assert told["difference"] == told["difference_low"] == told["difference_high"] == 0
    assert (told["mcnemar_p"], told["flipped"]) == (1, [])


def test_what_cannot_be_tested_is_said_with_its_exit_code(bundle: Path, dataset: Path) -> None:
    nowhere = ictus("test", bundle, "--dataset", bundle)
    gone = ictus("test", "nowhere", "--dataset", dataset)
    empty = ictus("test", bundle, "--dataset", dataset, "--split", "external")
    lax = ictus("test", bundle, "--dataset", dataset, "--acceptance", bundle / "manifest.json")
    (bundle / "encoder.onnx").write_bytes(b"another")
    altered = ictus("test", bundle, "--dataset", dataset)
    assert [done.returncode for done in (nowhere, gone, empty, lax, altered)] == [4, 3, 5, 2, 4]
    assert "both causes are needed" in empty.stderr


def test_a_synthetic_dataset_knows_what_its_rows_do_not_tell(dataset: Path) -> None:
    truths = read_truth(dataset)
    assert len(truths) <= CASES
    assert all(truth.pattern and truth.layout for truth in truths.values())
    assert any(sum(truth.lesions.values()) for truth in truths.values())
    assert read_truth(dataset / "images") == {}


def test_the_bundled_models_report_is_by_the_rules_of_today_and_its_page_shows_it() -> None:
    report = read_report(DEMO_BUNDLE)
    assert report
    assert report.passed
    assert report.acceptance_sha256 == read_acceptance().sha256
    assert report.dataset["profile"] == PROFILE
    assert (
        report.manifest_sha256 == sha256((DEMO_BUNDLE / "manifest.json").read_bytes()).hexdigest()
    )
    assert (ROOT / "docs" / "models" / "synthetic-demo.html").read_text() == page_html(report)
