"""Storing and loading events durably: one at a time, many at once, in bulk, and one case whole.

python -m benchmarks.append [--events 400] [--bulk 20000] [--rounds 3] [--json]

All in one run, turn by turn, each in a process of its own, with the same payloads, and everybody
syncs the disk before it answers. `raw` is a blocking socket that sends what was made beforehand. The
100 events of the case to load lie on top of, or spread over, `--bulk` others. A peer that is not
installed is null. A table goes to stderr, unless `--json` asks for the JSON line alone.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from benchmarks.measuring import Results, show
from benchmarks.peers.ours import CONTIGUOUS, SPREAD
from benchmarks.servers import Servers, running

FEW, MANY = 16, 64
MANY_EVENTS_FACTOR = 10
LATENCIES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.append")
    parser.add_argument("--events", type=int, default=400, help="stored one at a time")
    parser.add_argument("--bulk", type=int, default=20_000, help="stored in bulk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    outcome = asyncio.run(run(given.events, given.bulk, given.rounds))
    if not given.json:
        show("Append", outcome)
    print(json.dumps(outcome))


async def run(events: int, bulk: int, rounds: int) -> dict[str, Any]:
    results = Results()
    async with running() as servers:
        await results.measure("filled", "ours:filled", servers.nats, bulk)
        for number in range(rounds):
            await load(results, servers)
            await single(results, servers, events, f"single/{number}")
            await concurrent(results, servers, events * MANY_EVENTS_FACTOR, f"many/{number}")
            await in_bulk(results, servers, bulk, f"bulk/{number}")
    return summary(results)


async def load(results: Results, servers: Servers) -> None:
    await results.measure("cold spread", "ours:loaded_cold", servers.nats, SPREAD)
    await results.measure("cold contiguous", "ours:loaded_cold", servers.nats, CONTIGUOUS)
    await results.measure("load", "ours:loaded", servers.nats, CONTIGUOUS)
    if servers.postgres:
        await results.measure("pg load", "eventsourcing_store:loaded", servers.postgres)


async def single(results: Results, servers: Servers, events: int, seed: str) -> None:
    await results.measure("single", "ours:single", servers.nats, events, f"{seed}/ours")
    await results.measure("nats_py single", "nats_py:single", servers.nats, events, f"{seed}/py")
    await results.measure("raw single", "raw:single", servers.nats, events, f"{seed}/raw")
    if servers.postgres:
        await results.measure(
            "pg single", "eventsourcing_store:single", servers.postgres, events, seed
        )
    if servers.umadb:
        await results.measure("umadb single", "umadb_store:single", servers.umadb, events, seed)


async def concurrent(results: Results, servers: Servers, events: int, seed: str) -> None:
    for in_flight in (FEW, MANY):
        await results.measure(
            f"many {in_flight}",
            "ours:concurrent",
            servers.nats,
            events,
            in_flight,
            f"{seed}/ours/{in_flight}",
        )
    await results.measure("raw many", "raw:pipelined", servers.nats, events, MANY, f"{seed}/raw")
    if servers.umadb:
        await results.measure(
            "umadb many", "umadb_store:concurrent", servers.umadb, events, MANY, seed
        )


async def in_bulk(results: Results, servers: Servers, events: int, seed: str) -> None:
    await results.measure("import", "ours:imported", servers.nats, events, f"{seed}/ours")
    head = await _head(servers.nats)
    await results.measure("raw batches", "raw:batches", servers.nats, events, f"{seed}/raw", head)


def summary(results: Results) -> dict[str, Any]:
    return {
        **_latencies(results, "single", "single"),
        **_latencies(results, "nats_py_single", "nats_py single"),
        **_latencies(results, "raw_single", "raw single"),
        **_latencies(results, "eventsourcing_pg_single", "pg single"),
        **_latencies(results, "umadb_single", "umadb single"),
        "single_cpu_us_per_event": results.cpu_us("single"),
        "nats_py_single_cpu_us_per_event": results.cpu_us("nats_py single"),
        "eventsourcing_pg_per_s": results.per_s("pg single"),
        "concurrent16_per_s": results.per_s(f"many {FEW}"),
        "concurrent64_per_s": results.per_s(f"many {MANY}"),
        **_latencies(results, "concurrent64", f"many {MANY}"),
        "concurrent64_cpu_us_per_event": results.cpu_us(f"many {MANY}"),
        "raw_pipelined_per_s": results.per_s("raw many"),
        "umadb_64_per_s": results.per_s("umadb many"),
        "import_per_s": results.per_s("import"),
        "import_cpu_us_per_event": results.cpu_us("import"),
        "raw_batches_per_s": results.per_s("raw batches"),
        "load100_ms": results.ms("load"),
        "load100_cold_spread_ms": results.ms("cold spread"),
        "load100_cold_contiguous_ms": results.ms("cold contiguous"),
        "eventsourcing_pg_load100_ms": results.ms("pg load"),
    }


def _latencies(results: Results, key: str, name: str) -> dict[str, float | None]:
    return {f"{key}_{label}_ms": results.ms(name, share) for label, share in LATENCIES.items()}


async def _head(url: str) -> int:
    async with await connect(url, "bench") as client:
        return (await JetStreamLedger(client).head()).sequence


if __name__ == "__main__":
    main()
