"""What de-identifying one 1280-px image costs, step by step, beside the decoder alone and full OCR.

python -m benchmarks.ingest [--images 100] [--seed 1] [--profile ingest-3] [--json]

Costs are processor time on one thread; waiting is measured with two images under way at a time, through
the confined processes (in the profile of new images). The peers find text anywhere in the picture:
PP-OCR's detector, and Tesseract, which stands for pipelines that read all text (null where not installed).
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import mean
from typing import Any, Final

import cv2
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks import attacker
from benchmarks.measuring import show
from benchmarks.peers import redaction
from ictus.demo.result import percentile
from training.overlays import camera
from training.overlays.viewers import LAYOUTS, Layout, screen
from workers.ingest.decode import decode
from workers.ingest.outcome import Pixels
from workers.ingest.pipeline import LOOKING, NEWEST, look, named, process, read
from workers.ingest.sandbox import Sandbox
from workers.ingest.sniff import sniff

UNDER_WAY: Final = 2
OCR_IMAGES_MAX: Final = 10
MIB: Final = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", choices=tuple(LOOKING), default=NEWEST)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    files = drawn(given.images, given.seed)
    outcome = {
        **costs(files, given.profile),
        **asyncio.run(waits(files)),
        **rivals(files),
        "profile": named(given.profile),
    }
    if not given.json:
        show(
            "benchmarks.ingest", {k: v for k, v in outcome.items() if not isinstance(v, dict | str)}
        )
    print(json.dumps(outcome))


def drawn(images: int, seed: int) -> list[bytes]:
    """Files of at most 1280 px a side, of all kinds and layouts."""
    layouts = list(LAYOUTS["test"].values())
    return [_file(layouts[number % len(layouts)], number, seed) for number in range(images)]


def _file(layout: Layout, number: int, seed: int) -> bytes:
    rng, kind = default_rng([seed, number]), camera.KINDS[number % len(camera.KINDS)]
    canvas, _ = camera.as_sent(kind, screen("test", layout, rng).canvas, [], rng)
    return camera.file_of(kind, camera.shrunk(canvas, [])[0], rng)


def costs(files: list[bytes], profile: str) -> dict[str, Any]:
    """Processor time of each step and of all, beside that of the decoder alone."""
    spent: defaultdict[str, list[float]] = defaultdict(list)
    for data in files:
        pixels = read(data)
        assert isinstance(pixels, Pixels)
        for step, microseconds in look(pixels, profile=profile).cpu_us.items():
            spent[step].append(microseconds / 1000)
    whole = cpu_ms(lambda data: process(data, profile), files)
    alone = cpu_ms(lambda data: decode(data, sniff(data)), files)
    return {
        "images": len(files),
        "cpu_ms_per_image": round(whole, 1),
        "images_per_s_per_core": round(1000 / whole, 2),
        "decode_limit_per_s": round(1000 / alone, 1),
        "by_step_cpu_ms": {step: round(mean(times), 2) for step, times in spent.items()},
    }


def cpu_ms(act: Callable[[bytes], object], files: list[bytes]) -> float:
    """Milliseconds of processor time for each file."""
    started = time.process_time()
    for data in files:
        act(data)
    return (time.process_time() - started) * 1000 / len(files)


async def waits(files: list[bytes]) -> dict[str, float]:
    """Seconds for one image with UNDER_WAY at a time, and how much the processes grew meanwhile."""
    seconds: list[float] = []
    async with Sandbox(UNDER_WAY, images_max=len(files) + UNDER_WAY) as sandbox:
        await asyncio.gather(*(sandbox.process(data) for data in files[:UNDER_WAY]))
        before = await resident(sandbox)
        gate = asyncio.Semaphore(UNDER_WAY)

        async def one(data: bytes) -> None:
            async with gate:
                started = time.perf_counter()
                await sandbox.process(data)
                seconds.append(time.perf_counter() - started)

        await asyncio.gather(*map(one, files))
        growth = await resident(sandbox) - before
    return {
        "p50_s": round(percentile(seconds, 0.5), 3),
        "p95_s": round(percentile(seconds, 0.95), 3),
        "rss_growth_mb": round(growth / MIB, 1),
    }


async def resident(sandbox: Sandbox) -> int:
    """Bytes that all confined processes hold in memory."""
    total = 0
    for pool in (sandbox.readers, sandbox.lookers):
        for _ in range(pool.children):
            slot = await pool.slots.get()
            total += _resident((await slot).process.pid)
            pool.slots.put_nowait(slot)
    return total


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def rivals(files: list[bytes]) -> dict[str, float | None]:
    """Processor time of other ways to find text in an image, as it came; null where not installed."""
    pictures = [camera.received(data) for data in files[:OCR_IMAGES_MAX]]
    reader = attacker.tesseract if attacker.installed() else None
    peers = {"tesseract": reader, **redaction.installed()}
    return {
        f"{name}_cpu_ms_per_image": act and round(spent_ms(act, pictures), 1)
        for name, act in peers.items()
    }


def spent_ms(
    act: Callable[[NDArray[np.uint8]], object], pictures: list[NDArray[np.uint8]]
) -> float:
    """Milliseconds of processor time for each picture, of this process and of what it starts."""
    act(pictures[0])
    before = spent_s()
    for picture in pictures:
        act(picture)
    return (spent_s() - before) * 1000 / len(pictures)


def spent_s() -> float:
    """Processor time of this process and of its children that have ended."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
