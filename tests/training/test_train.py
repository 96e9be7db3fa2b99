"""Training repeats itself to the last bit, interrupted or not, and refuses what it cannot learn from."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.commandline import here
from tests.training import blots
from tests.training.running import SMALL, learnt
from training.calibration import Calibration
from training.data import CannotTrain, CaseData
from training.dataset import ROWS_FILE, DatasetRefused
from training.finish import seen
from training.spec import spec_sha256, weights_sha256
from training.testing.run import read_report
from training.train import Learnt, NotConfigured, Taken
from workers.inference.classifier import Classifier
from workers.inference.manifest import read_manifest


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blots.write(tmp_path_factory.mktemp("blots"))


def weights(done: Learnt) -> str:
    return weights_sha256(done.module)


@pytest.fixture(scope="module")
def first(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    return learnt(dataset, tmp_path_factory.mktemp("first") / "bundle")


def test_the_same_spec_gives_the_same_weights_whoever_helps(
    dataset: Path, first: Learnt, tmp_path: Path
) -> None:
    again = learnt(dataset, tmp_path / "bundle", "--data.workers=2")
    assert spec_sha256(again.spec) == spec_sha256(first.spec)
    assert weights(again) == weights(first)


def test_another_seed_is_another_spec_and_gives_other_weights(
    dataset: Path, first: Learnt, tmp_path: Path
) -> None:
    other = learnt(dataset, tmp_path / "bundle", "--trainer.max_epochs=1", seed=4)
    assert spec_sha256(other.spec) != spec_sha256(first.spec)
    assert weights(other) != weights(first)


class PowerCut(Exception):
    pass


def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(
    dataset: Path, first: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    varied, left = CaseData.varied, iter(range(len(first.data.learnt) + 11))

    def cut(self: CaseData, *asked: object) -> object:
        if next(left, None) is None:
            raise PowerCut
        return varied(self, *asked)

    monkeypatch.setattr(CaseData, "varied", cut)
    with pytest.raises(PowerCut):
        learnt(dataset, tmp_path / "bundle")
    monkeypatch.undo()

    resumed = learnt(dataset, tmp_path / "bundle", resume=True)

    assert resumed.epochs == first.epochs == 6
    assert weights(resumed) == weights(first)
    assert weights(learnt(dataset, tmp_path / "bundle", resume=True)) == weights(first)


def test_a_run_goes_on_only_as_it_was_begun(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="no run"):
        learnt(dataset, tmp_path / "bundle", resume=True)
    learnt(dataset, tmp_path / "bundle", "--trainer.max_epochs=1")
    with pytest.raises(CannotTrain, match="another spec"):
        learnt(dataset, tmp_path / "bundle", resume=True)
    with pytest.raises(Taken, match="--resume goes on"):
        learnt(dataset, tmp_path / "bundle", "--trainer.max_epochs=1")


def test_training_learns_what_is_plain_to_see(first: Learnt) -> None:
    found = seen(first.module, first.data.held_out)
    assert found.logits.argmax(1).tolist() == found.target.tolist()


def test_curves_are_kept(first: Learnt) -> None:
    run = Path(first.config.checkpoint.dirpath)
    lines = (run / "curves" / "version_0" / "metrics.csv").read_text().splitlines()
    assert {"epoch", "loss", "watched_loss", "watched_auroc"} <= set(lines[0].split(","))
    assert list(run.glob("tensorboard/version_0/events.out.tfevents.*"))
    assert spec_sha256(first.spec) in (run / "curves" / "version_0" / "hparams.yaml").read_text()


def test_a_dataset_that_does_not_verify_teaches_nothing(tmp_path: Path) -> None:
    folder = blots.write(tmp_path / "blots", 10)
    rows = (folder / ROWS_FILE).read_bytes()
    (folder / ROWS_FILE).write_bytes(rows.replace(b'"train"', b'"test"', 1))
    with pytest.raises(DatasetRefused):
        learnt(folder, tmp_path / "bundle")


def test_too_few_cases_teach_nothing(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="training cases of a cause"):
        learnt(blots.write(tmp_path / "blots", 10), tmp_path / "bundle")
    strict = f"--calibration.alpha_permille={Calibration().alpha_permille}"
    with pytest.raises(CannotTrain, match="9 are needed"):
        learnt(dataset, tmp_path / "bundle", strict)


def test_a_dataset_becomes_a_bundle_that_can_be_tested(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ictus = partial(here, capsys)
    bundle, key = tmp_path / "bundle", tmp_path / "key"
    asked = ("train", "--dataset", dataset, "--out", bundle, "--seed", 3, "--json")

    done = ictus(*asked, "--sign-key", key, "--", *SMALL)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bundle"] == str(bundle)
    assert told["figures"]["auroc"] == 1
    assert set(told["baselines"]) == {"prior", "clinical_rule", "logistic", "mean_pool"}
    manifest = read_manifest(bundle)
    assert manifest.weights_sha256 == told["weights_sha256"]
    assert manifest.spec_sha256 == told["spec_sha256"]
    assert manifest.dataset_root == told["dataset_root"]
    assert (manifest.synthetic, manifest.role) == (True, "demo")
    assert "signed by ictus/models+" in done.stderr
    assert Classifier.load(bundle).manifest == manifest
    assert sum(file.stat().st_size for file in bundle.iterdir()) < 5_000_000

    tested = ictus("model", "test", bundle, "--dataset", dataset, "--json")
    assert json.loads(tested.stdout)["auroc"] == 1, tested.stderr
    report = read_report(bundle)
    assert report
    assert report.manifest_sha256 == told["manifest_sha256"]

    taken = ictus(*asked, "--", *SMALL)
    assert (taken.returncode, "is not empty" in taken.stderr) == (5, True)
    mirror = ictus(*asked, "--", "--trainer.logger=lightning.pytorch.loggers.CometLogger")
    assert (mirror.returncode, "Requirement 'comet-ml" in mirror.stderr) == (2, True)


def test_a_wrong_setting_is_told_in_a_sentence(dataset: Path, tmp_path: Path) -> None:
    for word, said in (("--model.backbone=vgg", "Got value: vgg"), ("--nope=1", "--nope=1")):
        with pytest.raises(NotConfigured) as wrong:
            learnt(dataset, tmp_path / "bundle", word)
        told = str(wrong.value)
        assert said in told
        assert "docs/models.md" in told
        assert len(told) < 300


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("data.dataset", "--dataset"),
        ("checkpoint.dirpath", "--out"),
        ("trainer.default_root_dir", "--out"),
    ],
)
def test_what_was_vouched_for_is_what_is_learnt_from(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, option: str
) -> None:
    asked = ("train", "--dataset", dataset, "--out", tmp_path / "bundle", "--", *SMALL)
    done = here(capsys, *asked, f"--{name}", tmp_path / "other")
    assert (done.returncode, f"say {option}" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_mirror_has_curves_and_spec_and_says_nothing_on_stdout(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mirror = ("--trainer.logger=MLFlowLogger", f"--trainer.logger.save_dir={tmp_path / 'mirror'}")
    asked = ("train", "--dataset", dataset, "--out", tmp_path / "bundle", "--json", "--", *SMALL)

    done = here(capsys, *asked, "--trainer.max_epochs=2", *mirror)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    mlflow.set_tracking_uri(str(tmp_path / "mirror"))
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.data.params["spec_sha256"] == told["spec_sha256"]
    assert run.data.params["dataset_root"] == told["dataset_root"]
    assert {"loss", "watched_loss", "watched_auroc"} <= set(run.data.metrics)


@pytest.mark.long
def test_two_processes_share_a_run_and_one_writes_the_bundle(dataset: Path, tmp_path: Path) -> None:
    two = ("--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.accelerator=cpu")
    asked = ("train", "--dataset", dataset, "--out", tmp_path / "bundle", "--json")

    done = subprocess.run(
        [sys.executable, "-m", "ictus", *map(str, asked), "--", *SMALL, *two],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["weights_sha256"] == read_manifest(tmp_path / "bundle").weights_sha256
    assert told["epochs"] == 6
