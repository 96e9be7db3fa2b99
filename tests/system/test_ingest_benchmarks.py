"""The open benchmarks of ingest: what they promise, and that they can fail."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from benchmarks import attacker
from benchmarks.deid import Fate, Scored, summary
from benchmarks.over_mask import kept_heads, over_mask
from benchmarks.peers import redaction
from training.overlays.viewers import Shot
from training.overlays.writing import Line

PROMISED = {
    "off_head_recall",
    "on_head_recall",
    "over_mask_mean",
    "over_mask_p99",
    "over_mask_kept_mean",
    "leaking_images",
    "quarantine_rate",
    "quarantined_for",
    "doubted_rightly",
    "read_leaking_images",
    "leaks",
    "wrong_warps_on_screenshots",
    "lines",
    "images",
    "by_size",
    "by_script",
    "by_kind",
}


PEERS = {"pp_ocr", "presidio_style"}


def scored(left: float, on_head: bool = True, outcome: str = "ingested") -> Scored:
    line = Line("TEST", 12, "latin", on_head)
    return Scored("phone", outcome, [Fate(line, 1, left, 40)], 0.01, None)


def test_the_last_line_says_all_that_is_promised() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.deid",
            "--lines",
            "12",
            "--seed",
            "9",
            "--peer-images",
            "1",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.keys() >= PROMISED
    assert told["lines"] >= 12
    assert told["by_kind"].keys() == {"screenshot", "telegram", "phone"}
    assert told["peers"].keys() == PEERS


def test_a_line_that_is_left_is_a_leak() -> None:
    told = summary([scored(0.0), scored(0.5)])
    assert (told["on_head_recall"], told["leaking_images"]) == (0.5, 0.5)
    assert told["off_head_recall"] is None


def test_a_head_that_was_refused_whole_is_no_price_of_blanking_text() -> None:
    heads, gray = np.zeros((40, 90), np.uint16), np.full((40, 90), 50, np.uint8)
    heads[5:35, 5:35] = heads[5:35, 50:80] = 1
    kept = np.where(heads > 0, gray, 0).astype(np.uint8)
    kept[:, 45:] = 1
    kept[5:8, 5:35] = 1
    shot = Shot(np.repeat(gray[..., None], 3, 2), heads, np.zeros_like(heads), ())
    assert over_mask(shot, kept, gray) == pytest.approx(0.55)
    assert over_mask(kept_heads(shot, kept), kept, gray) == pytest.approx(0.1)


def test_a_screenshot_whose_pixels_moved_is_a_wrong_warp() -> None:
    line = Fate(Line("TEST", 12, "latin", True), 1, 0.0, 40)
    images = [
        Scored(kind, "ingested", [line], 0.0, None, warped=True) for kind in ("screenshot", "phone")
    ]
    assert summary(images)["wrong_warps_on_screenshots"] == 1


def test_a_quarantined_image_neither_leaks_nor_counts_as_recall() -> None:
    told = summary([scored(0.0), scored(1.0, outcome="quarantined")])
    assert (told["on_head_recall"], told["quarantine_rate"]) == (1.0, 0.5)


def test_a_quarantine_is_told_by_its_reason_and_whether_it_was_right() -> None:
    images = [
        Scored("phone", "quarantined", [], 0.0, None, reason=reason, rightly=rightly)
        for reason, rightly in [
            ("text-remains", True),
            ("text-remains", False),
            ("not-recognised", None),
        ]
    ]
    told = summary([scored(0.0), *images])
    assert told["quarantined_for"] == {"text-remains": 2, "not-recognised": 1}
    assert told["doubted_rightly"] == 0.5


def test_a_leak_is_told_by_what_can_be_seen_of_it_and_not_by_its_text() -> None:
    (leak,) = summary([scored(0.0), scored(0.5)])["leaks"]
    assert leak == {"size_px": 12, "on_head": True, "left": 0.5, "contrast": 40, "read": False}


def test_the_attacker_reads_a_faint_line_whose_place_it_is_shown_and_not_a_blanked_one() -> None:
    if not attacker.installed():
        pytest.skip("Tesseract is not installed")
    place = np.full((40, 300), 100, np.uint8)
    cv2.putText(place, "PATIENT 0042", (10, 28), 0, 0.8, (109,), 2)
    assert attacker.reads_part(place, "TEST PATIENT 0042")
    assert not attacker.reads_part(np.ones_like(place), "TEST PATIENT 0042")


@pytest.mark.parametrize(
    ("needle", "edits"), [("testpatient0042", 0), ("testpatlent0042", 1), ("другаястрока", 11)]
)
def test_the_attacker_forgives_some_letters(needle: str, edits: int) -> None:
    found = attacker.distance_within(needle, "im1/18testpatient0042демо")
    assert found == edits if edits < 3 else found > attacker.EDITS_MAX


def test_the_cost_of_an_image_is_told_with_its_limits() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", "--images", "1", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    measured = ("cpu_ms_per_image", "images_per_s_per_core", "decode_limit_per_s", "p95_s")
    assert all(told[name] > 0 for name in measured)
    assert told.keys() >= {f"{peer}_cpu_ms_per_image" for peer in PEERS | {"tesseract"}}
    assert "rss_growth_mb" in told
    assert {"decode", "anatomy", "text", "residual"} <= told["by_step_cpu_ms"].keys()


@pytest.mark.parametrize("peer", sorted(PEERS))
def test_a_peer_finds_a_large_line_on_white_paper_where_it_is_installed(peer: str) -> None:
    redact = redaction.installed()[peer]
    if redact is None:
        pytest.skip(f"{peer} is not installed")
    page = np.full((200, 600, 3), 255, np.uint8)
    cv2.putText(page, "TEST PATIENT", (60, 120), 0, 1.6, (0, 0, 0), 3)
    mask = redact(page)
    assert mask[page.max(2) == 0].mean() > 0.9
    assert mask[:40].sum() == 0


def test_the_quality_benchmark_tells_what_is_refused_and_what_is_known_again() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.quality", "--images", "2", "--seed", "9", "--json"],
        capture_output=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["images"] == 2
    assert set(told["refused"]) == set(told["reasons"]) - {"good"}
    assert {"false_rejection", "known_again", "others_alike"} <= told.keys()
