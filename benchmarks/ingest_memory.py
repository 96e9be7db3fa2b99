"""Whether ingest's memory stays flat: thousands of images through the same confined processes.

python -m benchmarks.ingest_memory [--images 10000] [--seed 1] [--large 0.05] [--also FILE…] [--json]

Most images are small, the share `large` has 1280 px, one in a hundred is no image. No process is replaced
meanwhile, though ingest does so after 200 images: what leaks would show. Progress goes to stderr.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator, default_rng
from PIL import Image

from benchmarks.ingest import MIB, UNDER_WAY, drawn, resident
from benchmarks.measuring import show
from ictus.demo.result import percentile
from training.synth import case
from workers.ingest.pipeline import PROFILE, Ingested
from workers.ingest.sandbox import Sandbox
from workers.ingest.sniff import can_read
from workers.ingest.specimens import dicom_file

STEP: Final = 500
FILES: Final = 100
SMALL_SIDE_PX: Final = 480


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest_memory")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--large", type=float, default=0.05)
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="further files to send")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    further = [path.read_bytes() for path in given.also]
    outcome = asyncio.run(run(files(given.seed, given.large) + further, given.images))
    if not given.json:
        show("benchmarks.ingest_memory", {k: v for k, v in outcome.items() if isinstance(v, float)})
    print(json.dumps(outcome))


def files(seed: int, large: float) -> list[bytes]:
    """Different files of every type, in the order in which they are sent again and again."""
    rng = default_rng(seed)
    big = drawn(round(FILES * large), seed)
    scans = [image.data for number in range(FILES) for image in case(seed * FILES + number).images]
    small = [reduced(data, rng) for data in scans[: FILES - len(big) - 1]]
    together = [*big, *small, b"no image"]
    return [together[place] for place in rng.permutation(len(together))]


def reduced(data: bytes, rng: Generator) -> bytes:
    """The scan with its longer side at SMALL_SIDE_PX, as any of the types."""
    with Image.open(BytesIO(data)) as image:
        image.thumbnail((SMALL_SIDE_PX, SMALL_SIDE_PX))
        small = image.convert("L")
    kind = ("JPEG", "PNG", "WEBP", "DICOM")[rng.integers(4 if can_read("dicom") else 3)]
    if kind == "DICOM":
        return dicom_file(np.asarray(small, np.uint16) * 16, "1.2.840.10008.1.2.1")
    out = BytesIO()
    small.save(out, kind)
    return out.getvalue()


async def run(sent: list[bytes], images: int) -> dict[str, Any]:
    """Resident MiB of the worker and of all its children, after each STEP images."""
    seconds: list[float] = []
    outcomes: Counter[str] = Counter()
    memory: list[dict[str, float]] = []
    async with Sandbox(UNDER_WAY, images_max=images + UNDER_WAY) as sandbox:
        gate = asyncio.Semaphore(UNDER_WAY)

        async def one(data: bytes) -> None:
            async with gate:
                started = time.perf_counter()
                outcome = await sandbox.process(data)
                seconds.append(time.perf_counter() - started)
            kept = isinstance(outcome, Ingested)
            outcomes["ingested" if kept else outcome.reason] += 1  # type: ignore[union-attr]

        for start in range(0, images, STEP):
            numbers = range(start, min(start + STEP, images))
            await asyncio.gather(*(one(sent[number % len(sent)]) for number in numbers))
            memory.append(await measured(sandbox, numbers.stop))
    return {
        "images": images,
        "outcomes": dict(outcomes),
        "p50_s": round(percentile(seconds, 0.5), 3),
        "p95_s": round(percentile(seconds, 0.95), 3),
        "rss_mib": memory,
        "children_growth_after_first_step_mib": grown(memory, "children"),
        "worker_growth_after_first_step_mib": grown(memory, "worker"),
        "profile": PROFILE,
    }


async def measured(sandbox: Sandbox, images: int) -> dict[str, float]:
    """What is resident now; also told on stderr."""
    now = {
        "images": images,
        "worker": round(worker_bytes() / MIB, 1),
        "children": round(await resident(sandbox) / MIB, 1),
    }
    print(json.dumps(now), file=sys.stderr, flush=True)
    return now


def worker_bytes() -> int:
    """Resident bytes of this very process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def grown(memory: list[dict[str, float]], who: str) -> float:
    """MiB between the first step, which warms up, and the last."""
    return round(memory[-1][who] - memory[0][who], 1)


if __name__ == "__main__":
    main()
