"""Folders of synthetic cases say what they are, and are the same from any number of processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from signal import SIG_DFL, SIGHUP, SIGINT, SIGTERM, Signals, signal

import cv2
import msgspec
import numpy as np
import pytest
from numpy.random import default_rng

from ictus.cli.errors import exit_code
from tests.commandline import Ictus
from training import dataset
from training.synthetic import NOTICE, rows
from training.synthetic.cases import case, look_of
from training.synthetic.cuts import CUTTERS, PROFILE, By
from training.synthetic.facts import Plan, facts, stream
from training.synthetic.folder import AHEAD_CASES, Taken, each, write
from training.synthetic.hostile import HOSTILE, KINDS, LARGE, make
from training.synthetic.truth import CaseTruth
from training.testing.truth import read_lesion, write_lesions
from workers.ingest.pipeline import Ingested, Refused, process
from workers.pixels import load, tiles

PLAN = Plan(seed=9, hostile=0.5)


def nobody(done: int, of: int) -> None:
    """Nobody is told how far it is."""


def viewer(plan: Plan, number: int) -> tuple[str, bool | None]:
    """Split, and whether the viewer says what the label says (None: it is neither of the two)."""
    known = facts(plan, number)
    layout = look_of(plan, known, stream(plan, number, "screens")).layout
    says = {"pacs": "cardioembolic", "web": "large-artery"}.get(layout)
    return known.split, None if says is None else says == known.cause


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_one_process_and_two_write_the_same_bytes(tmp_path: Path) -> None:
    one = write(PLAN, 5, tmp_path / "one", 1, nobody)
    two = write(PLAN, 5, tmp_path / "two", 2, nobody)
    assert one == two
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_folder_says_what_it_is_and_holds_each_file_that_its_truth_names(tmp_path: Path) -> None:
    written = write(PLAN, 3, tmp_path, 1, nobody)
    assert all(words in (tmp_path / "README.md").read_text() for words in NOTICE.values())
    assert json.loads((tmp_path / "manifest.json").read_text())["notice"] == NOTICE["en"]
    folders = sorted((tmp_path / "cases").iterdir())
    assert len(folders) == written.cases == 3
    for folder in folders:
        truth = msgspec.json.decode((folder / "case.json").read_bytes(), type=CaseTruth)
        named = {name for one in truth.pictures for name in (one.file, one.truth)}
        named |= {truth.hostile.file} if truth.hostile else set()
        assert named | {"case.json"} == {file.name for file in folder.iterdir()}
        assert truth.notice == NOTICE["en"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for make_one in (write, rows.write):
        with pytest.raises(Taken, match="not empty"):
            make_one(PLAN, 1, tmp_path, 1, nobody)
    assert contents(tmp_path) == {"mine.txt": b"mine"}


@pytest.mark.parametrize("by", [SIGINT, SIGTERM, SIGHUP])
def test_a_run_that_is_interrupted_leaves_nothing(by: Signals, alone: Ictus) -> None:
    made = alone.settings.folder / "made"
    run = subprocess.Popen(
        [sys.executable, "-m", "ictus", "synth", "--cases", "900", "--out", str(made)],
        env=alone.environment,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=partial(signal, by, SIG_DFL),  # a shell's background has some ignored
    )
    with run:
        while not list(made.glob("cases/*/*")):
            assert run.poll() is None
            time.sleep(0.1)
        run.send_signal(by)
        _, said = run.communicate(timeout=60)
    assert (run.returncode, b"Traceback" in said) == (130, False)
    assert not made.exists()
    assert gone(run.pid, within_s=30)


def gone(group: int, within_s: float) -> bool:
    """Whether no process of a group is left, not even for its parent to bury."""
    for _ in range(round(within_s / 0.1)):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def touched(folder: Path, number: int) -> int:
    (folder / str(number)).touch()
    return number


def test_few_cases_are_made_before_they_are_asked_for(tmp_path: Path) -> None:
    with closing(each(partial(touched, tmp_path), 100, 2)) as made:
        assert (next(made), next(made)) == (0, 1)
        assert len(list(tmp_path.iterdir())) <= 2 + 2 * AHEAD_CASES
        assert list(made) == list(range(2, 100))


def test_a_dataset_of_which_ingest_takes_nothing_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(make: Callable[[int], object], count: int, _: int | None) -> Iterator[object]:
        yield from map(make, range(count))

    monkeypatch.setattr(rows, "each", here)
    monkeypatch.setitem(CUTTERS, "ingest", (PROFILE, lambda picture: None))
    with pytest.raises(rows.AllRefused, match="ingest took none of") as none:
        rows.write(PLAN, 2, tmp_path / "out", 1, nobody)
    assert exit_code(none.value) == 5
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        "--out x --as-dataset --hostile 1",
        "--out x --cut truth",
        "--through-bot --out x",
        "--through-bot --as-dataset",
        "--through-bot --cut ingest",
    ],
)
def test_options_that_exclude_each_other_exit_2(alone: Ictus, words: str) -> None:
    done = alone("synth", "--cases", "1", *words.split())
    assert done.returncode == 2
    assert "leave" in done.stderr
    assert not (alone.settings.folder / "x").exists()


def test_a_dataset_of_cases_is_one_that_training_reads(tmp_path: Path) -> None:
    built = rows.write(Plan(seed=9, others=0.3), 6, tmp_path, 2, nobody)
    data = dataset.read(tmp_path)
    assert built.root == data.manifest.root
    assert data.manifest.spec["notice"] == NOTICE["en"]
    assert sum(len(row.images) for row in data.rows) == built.images
    known = {str(one.id): one for one in (facts(Plan(seed=9, others=0.3), n) for n in range(6))}
    for row in data.rows:
        assert row.label is not None
        assert (row.label.cause, row.split) == (known[row.case].cause, known[row.case].split)
        assert row.origin == "synthetic"
    alone = rows.prepare(Plan(seed=9, others=0.3), "ingest", 4).row
    assert alone in data.rows


def test_heads_cut_by_the_truth_look_to_a_model_as_those_that_ingest_cuts() -> None:
    plan = Plan(seed=9, split="test")
    ingested, known = (rows.prepare(plan, by, 4) for by in ("ingest", "truth"))
    assert ingested.truth.lesions.keys() == ingested.images.keys()
    assert {one.row.split for one in (ingested, known)} == {"test"}
    assert {image.profile for image in known.row.images} == {"truth@1"}
    assert len(known.images) == len(ingested.images)
    for one, other in zip(ingested.row.images, known.row.images, strict=True):
        seen, drawn = tiles(ingested.images[one.sha256]), tiles(known.images[other.sha256])
        assert seen.shape == drawn.shape
        assert np.corrcoef(seen.ravel(), drawn.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("by", ["ingest", "truth"])
def test_the_mask_of_lesion_fits_its_derivative(by: By, tmp_path: Path) -> None:
    made = rows.prepare(Plan(mode="easy", seed=9), by, 0)
    write_lesions(tmp_path, made.lesions)
    brighter = []
    for digest, derivative in made.images.items():
        lesion, pixels = read_lesion(tmp_path, digest), load(derivative)
        assert lesion is not None
        assert lesion.shape == pixels.shape
        assert int(lesion.sum()) == made.truth.lesions[digest]
        if lesion.any():
            around = cv2.dilate(lesion.astype(np.uint8), np.ones((15, 15))).astype(bool)
            brighter.append(pixels[lesion].mean() - pixels[around & ~lesion & (pixels > 1)].mean())
    assert min(brighter) > 0
    assert max(brighter) > 40
    assert read_lesion(tmp_path, "0" * 64) is None


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LARGE])
def test_what_is_no_scan_gets_one_typed_outcome(kind: str) -> None:
    name, data = make(kind, default_rng(1))
    outcome = process(data)
    assert isinstance(outcome, Ingested | Refused)
    assert make(kind, default_rng(1)) == (name, data)
    if kind in HOSTILE:
        assert isinstance(outcome, Refused)


def test_a_file_can_be_more_than_a_messenger_lets_bots_fetch() -> None:
    assert len(make("too-many-bytes", default_rng(1)).data) > 20 * 2**20


def test_the_viewer_gives_the_label_away_in_shortcut_and_lies_in_the_test_split() -> None:
    plan = Plan(mode="shortcut", seed=9)
    told = [viewer(plan, number) for number in range(600)]
    share = {
        part: np.mean([agrees for split, agrees in told if split == part])
        for part in ("train", "validation", "test")
    }
    assert share == pytest.approx({"train": 0.9, "validation": 0.9, "test": 0.1}, abs=0.1)


def test_in_other_modes_the_viewer_says_nothing() -> None:
    agreed = [viewer(Plan(mode="realistic", seed=9), number)[1] for number in range(800)]
    assert 0.4 < np.mean([one for one in agreed if one is not None]) < 0.6


def test_the_shortcut_is_still_seen_after_ingest_has_blanked_all_but_heads() -> None:
    plan = Plan(mode="shortcut", seed=9)
    bright: dict[str, list[float]] = {"pacs": [], "web": []}
    for number in range(16):
        made = case(plan, number)
        picture = made.pictures[0]
        outcome = process(picture.data) if picture.channel == "screenshot" else None
        if isinstance(outcome, Ingested):
            grey = load(outcome.derivative)
            bright[made.layout].append(np.median(grey[grey > 20]))
    assert min(len(one) for one in bright.values()) >= 2
    wins = np.mean([a < b for a in bright["pacs"] for b in bright["web"]])
    assert wins > 0.8


def test_the_command_makes_cases_and_says_that_they_are_not_clinically_valid(
    alone: Ictus,
) -> None:
    words = ("synth", "--cases", "2", "--mode", "easy", "--seed", "4", "--out", "made")
    told = alone.json(*words)
    assert told["notice"] == NOTICE["en"]
    assert told["oracle_auroc"] == 1.0
    assert told["cases_per_s"] > 0
    assert (alone.settings.folder / "made" / "README.md").is_file()
    again = alone(*words)
    assert again.returncode == 5
    assert NOTICE["en"] in again.stderr
    assert alone("synth", "--cases", "2").returncode == 2
    assert alone("synth", "--cases", "2", "--mode", "hard", "--out", "x").returncode == 2
