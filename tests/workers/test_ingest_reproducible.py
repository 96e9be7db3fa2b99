"""The same bytes and profile give the same bits: on any threads, in any process, in any year."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import pytest

from tests.workers.made_hashes import PICTURES, all_hashes, golden, hashes, told
from workers.ingest.outcome import Ingested
from workers.ingest.pipeline import CURRENT, LOOKING, process
from workers.ingest.sandbox import Sandbox

ROOT = Path(__file__).parents[2]


def known(profile: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(golden(profile).read_text())
    return found


@pytest.fixture
def threads() -> Iterator[None]:
    """OpenCV's number of threads is put back."""
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


@pytest.mark.parametrize("profile", LOOKING)
def test_every_profile_makes_what_it_always_made(profile: str) -> None:
    assert all_hashes(profile) == known(profile), "a step changed without a profile of its own"


@pytest.mark.parametrize("profile", LOOKING)
def test_the_pictures_show_all_that_a_profile_may_do(profile: str) -> None:
    outcomes = [made["outcome"] for made in known(profile).values()]
    assert len(outcomes) == len(PICTURES) >= 6
    assert outcomes.count("ingested") >= 3
    assert any("too-blurred" in outcome for outcome in outcomes)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_number_of_threads_changes_no_bit(count: int) -> None:
    cv2.setNumThreads(count)
    with ThreadPoolExecutor(count) as pool:
        made = list(pool.map(lambda path: hashes(path.read_bytes(), CURRENT), PICTURES))
    assert made == [known(CURRENT)[path.name] for path in PICTURES]


@pytest.mark.parametrize("count", ["1", "8"])
def test_another_process_makes_the_same(count: str) -> None:
    program = (
        f"import cv2, json; cv2.setNumThreads({count});"
        "from tests.workers.made_hashes import all_hashes;"
        f"print(json.dumps(all_hashes({CURRENT!r})))"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": count},
    )
    assert json.loads(there.stdout) == known(CURRENT)


async def test_the_confined_processes_make_the_same() -> None:
    async with Sandbox(2) as sandbox:
        for path in PICTURES:
            confined = await sandbox.process(path.read_bytes())
            expected = known(CURRENT)[path.name]
            made = confined.sha256 if isinstance(confined, Ingested) else told(confined)
            assert made == expected.get("derivative", expected["outcome"])


def test_the_golden_hashes_are_those_of_the_pipeline_itself() -> None:
    for path in PICTURES:
        outcome = process(path.read_bytes(), CURRENT)
        if isinstance(outcome, Ingested):
            assert outcome.sha256 == known(CURRENT)[path.name]["derivative"]
