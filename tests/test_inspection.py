"""`ictus image inspect`: local files through the whole pipeline, one typed outcome each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training.synth import case
from workers.ingest.pipeline import PROFILE, Ingested, process
from workers.ingest.specimens import dicom_file

SCAN = next(image for image in case(7).images if image.kind == "photo")
SECONDS_MAX = 300


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ictus", "image", "inspect", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan, another one below, two files that are none, and one that is hidden."""
    root = tmp_path_factory.mktemp("images")
    (root / "below").mkdir()
    (root / "a.jpg").write_bytes(SCAN.data)
    (root / "below" / "a.jpg").write_bytes(SCAN.data)
    (root / "empty.png").touch()
    (root / "letter.txt").write_text("Dear colleague")
    (root / ".hidden").write_text("not looked at")
    return root


@pytest.fixture(scope="module")
def inspected(folder: Path) -> subprocess.CompletedProcess[str]:
    return run(folder, "--json", "--out", folder.parent / "seen")


def test_every_file_of_a_folder_gets_one_outcome_and_the_whole_is_partial(
    inspected: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert inspected.returncode == 7
    outcomes = {str(Path(one["file"]).relative_to(folder)): one for one in told(inspected)}
    assert {name: one["outcome"] for name, one in outcomes.items()} == {
        "a.jpg": "ingested",
        "below/a.jpg": "ingested",
        "empty.png": "rejected",
        "letter.txt": "rejected",
    }
    assert outcomes["empty.png"]["reason"] == "empty"
    assert outcomes["letter.txt"]["coaching"].keys() == {"ru", "en"}


def test_an_ingested_file_is_described_as_its_event_would_be(
    inspected: subprocess.CompletedProcess[str],
) -> None:
    first, outcome = told(inspected)[0], process(SCAN.data)
    assert isinstance(outcome, Ingested)
    assert first["profile"] == PROFILE
    assert (first["sha256"], first["phash"]) == (outcome.sha256, outcome.phash)
    assert first["quality"] == outcome.quality
    assert len(first["heads"]) == len(outcome.head)
    assert first["cpu_ms"].keys() >= {"sniff", "decode", "anatomy", "quality", "png"}


def test_nothing_that_is_told_holds_a_letter_of_what_was_burnt_in(
    inspected: subprocess.CompletedProcess[str],
) -> None:
    assert not [line for line in SCAN.text if line in inspected.stdout + inspected.stderr]


def test_before_and_after_are_written_side_by_side_without_overwriting(
    inspected: subprocess.CompletedProcess[str],
) -> None:
    written = [Path(one["beside"]) for one in told(inspected) if one["beside"]]
    assert len(set(written)) == 2
    both = cv2.imread(str(written[0]))
    original = cv2.imdecode(np.frombuffer(SCAN.data, np.uint8), cv2.IMREAD_COLOR)
    height, width = original.shape[:2]
    assert both.shape[:2] == (height, 2 * width)
    assert np.abs(both[:, :width].astype(int) - original).mean() < 3
    assert (both[:8, width + 8 :] < 8).all()


def test_of_a_refused_picture_is_told_and_shown_what_was_found_until_then(tmp_path: Path) -> None:
    soft = cv2.GaussianBlur(
        cv2.imdecode(np.frombuffer(SCAN.data, np.uint8), cv2.IMREAD_COLOR), (0, 0), 7
    )
    cv2.imwrite(str(tmp_path / "soft.png"), soft)
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros_like(soft))
    black, refused = told(run(tmp_path, "--json", "--out", tmp_path / "seen"))
    assert (refused["reason"], refused["quality"]["sharpness"] < 45) == ("too-blurred", True)
    assert refused["source"] == black["source"] == "screenshot"
    assert refused["heads"]
    assert (black["reason"], black["heads"]) == ("no-head", [])
    height, width = soft.shape[:2]
    for one, shows_a_head in ((refused, True), (black, False)):
        both = cv2.imread(one["beside"])
        assert both.shape[:2] == (height, 2 * width)
        assert (both[:, width:] > 64).any() == shows_a_head


def test_a_file_whose_name_is_as_long_as_can_be_is_shown_too(tmp_path: Path) -> None:
    (tmp_path / f"{'я' * 125}.jpg").write_bytes(SCAN.data)
    [one] = told(run(tmp_path, "--json", "--out", tmp_path / "seen"))
    assert Path(one["beside"]).exists()


@pytest.mark.parametrize("out", ["a.jpg", "a.jpg/below", "/proc/x"])
def test_a_place_where_no_picture_can_be_written_exits_5_before_any_work(
    folder: Path, out: str
) -> None:
    done = run(folder / "a.jpg", "--json", "--out", folder / out)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith(f"ictus: {folder / out} cannot be written")


def test_good_files_alone_exit_0_and_people_get_a_table(folder: Path) -> None:
    done = run(folder / "a.jpg")
    assert done.returncode == 0
    assert "ingested" in done.stdout
    assert done.stderr == ""


def test_the_table_shows_any_name_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    (tmp_path / "[").mkdir()
    for name in ("[/x].png", "[red]:smile:.png"):
        (tmp_path / name).touch()
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (7, "")
    assert f"{tmp_path}/[/x].png" in done.stdout
    assert f"{tmp_path}/[red]:smile:.png" in done.stdout


def test_what_cannot_be_read_fails_by_itself_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(SCAN.data)
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "z").mkdir()
    done = run(tmp_path, tmp_path / "gone.jpg", "x" * 300, tmp_path / "z", "--json")
    assert (done.returncode, done.stderr) == (7, "")
    failed = ("failed", "failed")
    assert [
        (Path(one["file"]).name, one["outcome"], one["reason"], one["hint"]) for one in told(done)
    ] == [
        ("a.jpg", "ingested", None, None),
        ("link.jpg", *failed, "No such file or directory"),
        ("pipe.jpg", *failed, "Not a regular file"),
        ("gone.jpg", *failed, "No such file or directory"),
        ("x" * 300, *failed, "File name too long"),
    ]


def test_a_name_that_is_no_utf_8_is_told_with_escapes(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.jpg")).write_bytes(SCAN.data)
    [one] = told(run(tmp_path, "--json", "--out", tmp_path / "seen"))
    assert one["file"] == f"{tmp_path}/\\xff.jpg"
    assert one["beside"] == f"{tmp_path}/seen/0001-\\xff.jpg"


def test_if_every_file_is_missing_it_exits_3_before_anything_is_said(folder: Path) -> None:
    done = run("x" * 300, folder / "nowhere.jpg", "--json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "nowhere.jpg" in done.stderr


def test_an_empty_folder_alone_exits_3(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 3


def test_an_empty_name_is_not_the_folder_one_is_in() -> None:
    assert run("").returncode == run("a.jpg", "--out", "").returncode == 2


def test_no_file_named_exits_2() -> None:
    assert run().returncode == 2


def test_a_type_whose_extra_is_missing_is_refused_with_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(bytes(128) + b"DICM" + bytes(300))
    without = (
        "import sys; sys.modules['pydicom'] = None; import ictus.__main__ as ictus; ictus.main()"
    )
    words = ["image", "inspect", str(tmp_path), "--json"]
    done = subprocess.run([sys.executable, "-c", without, *words], capture_output=True, text=True)
    [one] = told(done)
    assert done.returncode == 7
    assert (one["reason"], one["detected"]) == ("unsupported-type", "dicom")
    assert one["hint"] == "pip install 'ictus[dicom]'"


def test_of_a_dicom_file_is_told_how_it_was_acquired_and_not_of_whom(tmp_path: Path) -> None:
    pixels = cv2.imdecode(np.frombuffer(SCAN.data, np.uint8), cv2.IMREAD_GRAYSCALE)
    named = {"PatientName": "TESTOV^IVAN", "Modality": "MR", "EchoTime": 91.0}
    (tmp_path / "scan.dcm").write_bytes(dicom_file(pixels, "1.2.840.10008.1.2.1", **named))
    done = run(tmp_path / "scan.dcm", "--json")
    assert told(done)[0]["technical"] == {"modality": "MR", "echo_time_ms": 91.0}
    assert "TESTOV" not in done.stdout + done.stderr
