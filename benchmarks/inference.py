"""Serving one ONNX file: through the durable queue and the worker's loop, or by a server of HTTP.

python -m benchmarks.inference [--seconds 4] [--rounds 3] [--batch 4] [--json]

All in one run, turn by turn: ONNX Runtime alone, ictus, LitServe and BentoML, the latter two with JSON
and with raw bytes; one session with one thread each, the same images of 150 kB, the same greatest
batch. A request to ictus is on the disk before it counts as asked (`sync_interval: always`). The
models have random weights. The servers' processor time is measured, NATS included, the asker's not.
What a peer loses when it is killed is not measured; what ictus does, by `kill_…`. A peer that is not
installed is null. A table goes to stderr, unless `--json` asks for the JSON line alone.
"""

import argparse
import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from adapters.storage.nats_connection import connect
from adapters.storage.streams import check_durability, provision
from benchmarks.measuring import show
from benchmarks.serving.contenders import (
    Ask,
    Contender,
    asking_ours,
    asking_peer,
    installed,
    ours_child,
    peer_child,
)
from benchmarks.serving.killed import killed
from benchmarks.serving.load import Load, alone, under_load
from benchmarks.serving.onnx_files import MODELS, images
from benchmarks.serving.ours import WANTED
from ictus.demo.result import percentile
from ictus.embedded import Nats, nats_child, prepare_nats
from ictus.kept import free_port, make_private
from ictus.supervisor import Supervisor
from workers.inference.runtime import CPU, Graph

CONCURRENT = (1, 8, 32)
IMAGES = 16
OURS, RAW = "ictus", "onnxruntime"

Loads = dict[tuple[str, str, int], list[Load]]
"""By model, contender and number of askers, round after round."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4, help="images in one batch, at most")
    parser.add_argument("--killed-cases", type=int, default=60, help="asked while a worker dies")
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    loads = uvloop.run(run(given.seconds, given.rounds, given.batch))
    outcome = summary(loads) | asyncio.run(killed(given.killed_cases))
    asked = {"batch": given.batch, "rounds": given.rounds, "seconds": given.seconds}
    outcome |= {**asked, "table": table(loads)}
    if not given.json:
        show("Inference", {k: v for k, v in outcome.items() if k != "table"})
    print(json.dumps(outcome))


async def run(seconds: float, rounds: int, batch: int) -> Loads:
    loads: Loads = defaultdict(list)
    with TemporaryDirectory(prefix="ictus-bench-") as name:
        for model, made in MODELS.items():
            folder = Path(name) / model
            make_private(folder)
            (folder / "model.onnx").write_bytes(made())
            async with Supervisor(folder / "run") as supervisor, AsyncExitStack() as stack:
                nats = prepare_nats(folder / "nats")
                pids = await started(supervisor, folder, nats, batch)
                asked = await askers(stack, folder, nats, pids)
                await measured(loads, model, folder, asked, pids, seconds, rounds)
    return loads


async def started(
    supervisor: Supervisor, folder: Path, nats: Nats, batch: int
) -> dict[str, tuple[int, Sequence[int]]]:
    """Who serves: the port of a peer, and whose processor time is counted."""
    file = folder / "model.onnx"
    await supervisor.start(nats_child(nats))
    async with await connect(nats.url, "bench") as client:
        await check_durability(client, nats.monitor_url)
        await provision(client, "demo")
        await client.jetstream().add_stream(WANTED)
    await supervisor.start(
        ours_child(OURS, file, nats.url, folder / "objects", batch, folder / "run")
    )
    serving: dict[str, tuple[int, Sequence[int]]] = {
        OURS: (0, (supervisor.pid("nats"), supervisor.pid(OURS)))
    }
    for peer in installed():
        port = free_port()
        await supervisor.start(peer_child(peer, file, port, batch, folder / "run"))
        serving[peer.name] = port, (supervisor.pid(peer.name),)
    return serving


async def askers(
    stack: AsyncExitStack,
    folder: Path,
    nats: Nats,
    serving: Mapping[str, tuple[int, Sequence[int]]],
) -> dict[str, Ask]:
    """Each answers once, so that nobody is measured before it is warm."""
    bodies = [image.tobytes() for image in images(IMAGES)]
    asked: dict[str, Ask] = {}
    for name, (port, _) in serving.items():
        asking = (
            asking_ours(nats.url, folder / "objects", bodies)
            if name == OURS
            else asking_peer(_peer(name), port, bodies)
        )
        asked[name] = await stack.enter_async_context(asking)
        await asked[name](0)
    return asked


def _peer(name: str) -> Contender:
    return next(peer for peer in installed() if peer.name == name)


async def measured(
    loads: Loads,
    model: str,
    folder: Path,
    asked: Mapping[str, Ask],
    serving: Mapping[str, tuple[int, Sequence[int]]],
    seconds: float,
    rounds: int,
) -> None:
    graph = Graph((folder / "model.onnx").read_bytes(), (CPU,))
    bodies = [image.tobytes() for image in images(IMAGES)]
    right = [graph.run({"images": image[None]})[0][0] for image in images(IMAGES)]
    for _ in range(rounds):
        bare = await asyncio.to_thread(alone, graph, seconds, bodies)
        loads[model, RAW, 1].append(bare)
        for many in CONCURRENT:
            for name, ask in asked.items():
                load = await under_load(ask, many, seconds, right, serving[name][1])
                loads[model, name, many].append(load)


# What it comes to


def summary(loads: Loads) -> dict[str, Any]:
    """Medians of the rounds; a peer's best figure is the best of all its variants."""
    raw = cpu_ms(loads["small", RAW, 1])
    overhead = [cpu_ms(loads["small", OURS, many]) - raw for many in CONCURRENT[1:]]
    figures: dict[str, Any] = {"cpu_overhead_ms": round(max(overhead), 2)}
    for model in MODELS:
        for many in CONCURRENT[1:]:
            fastest = max(map(per_s, peers(loads, model, many)), default=None)
            ours = per_s(loads[model, OURS, many])
            figures[f"{model}_vs_best_peer_c{many}"] = ratio(ours, fastest)
    soonest = min(map(p50_ms, peers(loads, "small", 1)), default=None)
    figures["p50_c1_vs_best_peer"] = ratio(p50_ms(loads["small", OURS, 1]), soonest)
    figures["failed"] = sum(load.failed for load in _all_of(loads, OURS))
    figures["wrong"] = sum(load.wrong for load in _all_of(loads, OURS))
    return figures


def peers(loads: Loads, model: str, many: int) -> list[list[Load]]:
    """What the installed ones did, all variants of them."""
    found = [loads[model, peer.name, many] for peer in installed()]
    return [each for each in found if any(load.answered for load in each)]


def table(loads: Loads) -> dict[str, dict[str, float | int]]:
    return {
        f"{model}_{name}_c{many}": {
            "per_s": round(per_s(found), 1),
            "p50_ms": round(p50_ms(found), 2),
            "p99_ms": round(percentile(_latencies(found), 0.99), 2),
            "cpu_ms": round(cpu_ms(found), 2),
            "wrong": sum(load.wrong for load in found),
            "failed": sum(load.failed for load in found),
        }
        for (model, name, many), found in loads.items()
        if any(load.answered for load in found)
    }


def per_s(found: Sequence[Load]) -> float:
    return median(load.answered / load.seconds for load in found)


def p50_ms(found: Sequence[Load]) -> float:
    return median(_latencies(found))


def cpu_ms(found: Sequence[Load]) -> float:
    """Per answer."""
    return median(1000 * load.cpu_s / load.answered for load in found if load.answered)


def ratio(ours: float, other: float | None) -> float | None:
    return round(ours / other, 2) if other else None


def _latencies(found: Sequence[Load]) -> list[float]:
    return [each for load in found for each in load.latencies_ms]


def _all_of(loads: Loads, name: str) -> list[Load]:
    return [load for (_, who, _), found in loads.items() if who == name for load in found]


if __name__ == "__main__":
    main()
