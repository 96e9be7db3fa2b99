"""A dataset of a whole ledger: read once, folded by shards, down to the Merkle root.

python -m benchmarks.dataset [--events 40000] [--shards N] [--json]

The events are those of cases as they really go, appended by atomic batches to a ledger of its own.
`seconds` is from the first event asked for to the root known; `rss_mb` the most that the building
process and all its shards held together. A table goes to stderr, unless `--json` asks for the JSON
line alone.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import islice
from multiprocessing import active_children, get_context
from os import cpu_count, getpid
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from benchmarks.measuring import show
from benchmarks.servers import running
from benchmarks.stories import going_on
from projections.builder import build
from projections.spec import Spec

SEED = "bench/dataset"
SAMPLE_SECONDS = 0.02


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataset")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--shards", type=int, default=cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    outcome = asyncio.run(run(given.events, given.shards))
    if not given.json:
        show("Dataset", {name: value for name, value in outcome.items() if name != "root"})
    print(json.dumps(outcome))


async def run(events: int, shards: int) -> dict[str, Any]:
    async with running() as servers:
        await alone(filled, servers.nats, events)
        outcome: dict[str, Any] = await alone(built, servers.nats, events, shards)
        return outcome


async def alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own, whose memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, measure, *arguments)


def filled(url: str, events: int) -> None:
    async def fill(ledger: JetStreamLedger) -> None:
        writes = islice(going_on(SEED), events)
        await ledger.append_many((request, commit) for request, commit, _ in writes)

    asyncio.run(_on_a_ledger(url, fill))


def built(url: str, events: int, shards: int) -> dict[str, Any]:
    async def measure(ledger: JetStreamLedger) -> dict[str, Any]:
        since = time.perf_counter()
        with Peaks() as peaks:
            dataset = await build(ledger, Spec(), shards=shards)
        seconds = time.perf_counter() - since
        assert dataset.as_of == events
        return {
            "events": events,
            "rows": len(dataset.encoded),
            "seconds": round(seconds, 2),
            "events_per_s": round(events / seconds),
            "shards": shards,
            "root": dataset.root,
            "rss_mb": peaks.mb,
        }

    outcome: dict[str, Any] = asyncio.run(_on_a_ledger(url, measure))
    return outcome


async def _on_a_ledger(url: str, measure: Callable[[JetStreamLedger], Awaitable[Any]]) -> Any:
    async with await connect(url, "bench") as client:
        return await measure(JetStreamLedger(client))


class Peaks:
    """The sum of the most memory that this process and each of its shards ever held (Linux)."""

    def __init__(self) -> None:
        self._kib: dict[int, int] = {}
        self._end = Event()
        self._watch = Thread(target=self._watching)

    @property
    def mb(self) -> int:
        return round(sum(self._kib.values()) / 1024)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._watch.join()

    def _watching(self) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            for pid in (getpid(), *(child.pid for child in active_children())):
                with suppress(OSError, ValueError):  # ended meanwhile
                    words = Path(f"/proc/{pid}/status").read_text().split()
                    self._kib[pid or 0] = int(words[words.index("VmHWM:") + 1])


if __name__ == "__main__":
    main()
