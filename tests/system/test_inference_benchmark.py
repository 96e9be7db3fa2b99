"""The benchmark of serving runs and says all it promises; how fast anybody is is not a test's business."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import json

PEERS = {
    "small_vs_best_peer_c8",
    "small_vs_best_peer_c32",
    "large_vs_best_peer_c8",
    "large_vs_best_peer_c32",
    "p50_c1_vs_best_peer",
}


@pytest.mark.long
def test_serving_is_measured_and_killing_workers_loses_and_doubles_nothing() -> None:
    words = ("--seconds", "0.3", "--rounds", "1", "--killed-cases", "60", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.inference", *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    told = json.decode(line)

    assert told.keys() >= PEERS | {"cpu_overhead_ms"}
    assert (told["seconds"], told["rounds"]) == (0.3, 1)
    assert (told["failed"], told["wrong"]) == (0, 0)
    assert (told["kill_cases"], told["kill_lost"], told["kill_doubled"]) == (60, 0, 0)
    assert told["kills"] > 0
    for model in ("small", "large"):
        assert {f"{model}_ictus_c{many}" for many in (1, 8, 32)} <= told["table"].keys()
