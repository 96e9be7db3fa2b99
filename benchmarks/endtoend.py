"""From the last photo to the answer: the demo's whole way beside the bare work it contains.

python -m benchmarks.endtoend [--cases 20] [--seed 1] [--json]

The limit is what the same machine needs, in the same run, for the same kind of case without any of
us around it: de-identifying its images one after the other and one prediction.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from ictus.demo.result import percentile
from ictus.models import DEMO_BUNDLE
from training.synth import case
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.ingest.pipeline import Ingested, process

LIMIT_CASES = 12


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endtoend")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    limits = bare_seconds(given.seed)
    whole = demo(given.cases, given.seed)
    print(json.dumps(compared(whole, limits)))


def bare_seconds(seed: int) -> list[float]:
    """Seconds of bare work per case."""
    classifier = Classifier.load(DEMO_BUNDLE)
    return [_bare(classifier, seed * 100_000 + number) for number in range(LIMIT_CASES)]


def demo(cases: int, seed: int) -> dict[str, Any]:
    """The demo's result, in a data directory of its own."""
    with tempfile.TemporaryDirectory(prefix="ictus-bench-") as folder:
        words = ("demo", "--cases", str(cases), "--seed", str(seed), "--data", folder, "--json")
        done = subprocess.run(
            [sys.executable, "-m", "ictus", *words], check=True, stdout=subprocess.PIPE
        )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def compared(whole: dict[str, Any], limits: list[float]) -> dict[str, Any]:
    limit = median(limits)
    return {
        "cases": whole["cases"],
        "images": whole["images"],
        "answered": whole["answered"],
        "p50_s": whole["p50_s"],
        "p95_s": whole["p95_s"],
        "limit_p50_s": round(limit, 3),
        "limit_p95_s": round(percentile(limits, 0.95), 3),
        "p50_over_limit": round(whole["p50_s"] / limit, 1),
    }


def _bare(classifier: Classifier, seed: int) -> float:
    made = case(seed)
    started = time.perf_counter()
    outcomes = [process(image.data) for image in made.images]
    seen = [outcome.derivative for outcome in outcomes if isinstance(outcome, Ingested)]
    if seen:
        classifier.predict(seen, Context(af=made.af))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
