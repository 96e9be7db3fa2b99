"""Synthetic cases go through the whole system, hostile files among them, and all come back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.synthetic import NOTICE

SECONDS_MAX = 600


@pytest.mark.long
def test_every_case_has_a_card_and_every_hostile_file_an_outcome(tmp_path: Path) -> None:
    words = ("synth", "--cases", "3", "--hostile", "1", "--seed", "2", "--through-bot", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "ictus", *words, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    assert NOTICE["en"] in done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["cases"], told["hostile"], told["lost"]) == (3, 3, 0)
    assert told["notice"] == NOTICE["en"]
    assert all(one["said"] != "ingested" for one in told["outcomes"] if one["hostile"])
