"""A closed loop: so many askers, each asks again as soon as it was answered."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmarks.serving.contenders import Ask, Scores
from benchmarks.serving.onnx_files import images
from workers.inference.runtime import Graph

TOLERANCE = 1e-4
TICKS = os.sysconf("SC_CLK_TCK")


class Load(Struct, frozen=True):
    """`cpu_s` is the servers' processor time, without the asker's; `wrong` were answered otherwise than
    by ONNX Runtime alone, `failed` not at all."""

    answered: int
    seconds: float
    cpu_s: float
    latencies_ms: list[float]
    wrong: int = 0
    failed: int = 0


async def under_load(
    ask: Ask, askers: int, seconds: float, right: Sequence[Scores], pids: Sequence[int]
) -> Load:
    latencies: list[float] = []
    wrong = failed = 0
    before, since = cpu_s(pids), time.perf_counter()

    async def asker(number: int) -> None:
        nonlocal wrong, failed
        while time.perf_counter() - since < seconds:
            number = (number + 1) % len(right)
            asked = time.perf_counter()
            try:
                told = await ask(number)
            except Exception:  # noqa: BLE001  whatever a peer does, it is counted
                failed += 1
                continue
            latencies.append((time.perf_counter() - asked) * 1000)
            wrong += not np.allclose(told, right[number], atol=TOLERANCE)

    await asyncio.gather(*(asker(number) for number in range(askers)))
    took = time.perf_counter() - since
    return Load(len(latencies), took, cpu_s(pids) - before, latencies, wrong, failed)


def alone(graph: Graph, seconds: float, bodies: Sequence[bytes]) -> Load:
    """ONNX Runtime without anything around it but what makes an array of the bytes."""
    shape = images(1).shape
    latencies: list[float] = []
    cpu, since = time.thread_time(), time.perf_counter()
    while time.perf_counter() - since < seconds:
        asked = time.perf_counter()
        body = bodies[len(latencies) % len(bodies)]
        graph.run({"images": np.frombuffer(body, np.uint8).reshape(shape)})
        latencies.append((time.perf_counter() - asked) * 1000)
    took = time.perf_counter() - since
    return Load(len(latencies), took, time.thread_time() - cpu, latencies)


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time of these processes and of all they started that still run (Linux)."""
    parents = {}
    spent = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (fields := _stat(folder)):
            parents[int(folder.name)] = int(fields[1])
            spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return sum(spent[pid] for pid in spent if _descends(pid, frozenset(pids), parents))


def _stat(folder: Path) -> list[str]:
    """The fields behind the program's name, which may hold blanks."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _descends(pid: int, roots: frozenset[int], parents: dict[int, int]) -> bool:
    while pid and pid not in roots:
        pid = parents.get(pid, 0)
    return bool(pid)
