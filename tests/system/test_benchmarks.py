"""The ledger's benchmarks run and say all they promise; how fast they are is not a test's business."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import json

from benchmarks.report import page

APPEND = ("append", "--events", "10", "--bulk", "200", "--rounds", "1")
REPLAY = ("replay", "--events", "1000", "--rounds", "1")
REBUILD = ("rebuild", "--events", "800", "--peer-events", "80", "--lag-events", "40")
PEERS = ("eventsourcing", "umadb")
PROMISED = {
    APPEND: {
        "single_p50_ms",
        "nats_py_single_p50_ms",
        "concurrent16_per_s",
        "concurrent64_per_s",
        "raw_pipelined_per_s",
        "umadb_64_per_s",
        "eventsourcing_pg_per_s",
        "import_per_s",
        "raw_batches_per_s",
        "load100_ms",
        "load100_cold_spread_ms",
        "load100_cold_contiguous_ms",
        "eventsourcing_pg_load100_ms",
    },
    REPLAY: {
        "events",
        "events_per_s",
        "verified_per_s",
        "raw_limit_per_s",
        "nats_py_per_s",
        "eventsourcing_pg_per_s",
        "eventsourcing_sqlite_per_s",
        "umadb_per_s",
        "cpu_us_per_event",
    },
    REBUILD: {
        "events",
        "seconds",
        "events_per_s",
        "copy_limit_per_s",
        "raw_replay_per_s",
        "eventsourcing_pg_per_s",
        "rss_mb",
        "lag_p95_ms",
        "case_show_ms",
    },
}


def last_line(name: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *options, "--json"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    return line


def figures(benchmark: tuple[str, ...]) -> dict[str, float | None]:
    return json.decode(last_line(*benchmark), type=dict[str, float | None])


@pytest.fixture(scope="module")
def measured() -> dict[tuple[str, ...], dict[str, float | None]]:
    return {benchmark: figures(benchmark) for benchmark in PROMISED}


@pytest.mark.parametrize("benchmark", PROMISED, ids=lambda benchmark: benchmark[0])
def test_every_promised_figure_is_there_and_only_a_missing_peer_is_null(
    benchmark: tuple[str, ...], measured: dict[tuple[str, ...], dict[str, float | None]]
) -> None:
    shown = measured[benchmark]

    assert PROMISED[benchmark] <= shown.keys()
    assert all(value or name.startswith(PEERS) for name, value in shown.items())


def without_peers(shown: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if name.startswith(PEERS) else value for name, value in shown.items()}


def test_the_page_says_of_a_missing_peer_that_it_was_not_measured(
    measured: dict[tuple[str, ...], dict[str, float | None]],
) -> None:
    parts = [without_peers(measured[benchmark]) for benchmark in (APPEND, REPLAY, REBUILD)]

    shown = "\n".join(page(*parts))

    assert shown.count("not measured") == 4
    assert "| Import |" in shown


def test_a_dataset_of_many_shards_has_the_root_of_one() -> None:
    alone, many = (
        json.decode(last_line("dataset", "--events", "4000", "--shards", shards))
        for shards in ("1", "3")
    )
    assert (alone["events"], alone["rows"], len(alone["root"])) == (4000, 1000, 64)
    assert alone["seconds"] > 0
    assert many["rss_mb"] > alone["rss_mb"] > 0
    assert many["root"] == alone["root"]
