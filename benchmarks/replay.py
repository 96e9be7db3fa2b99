"""Replaying a whole ledger into typed events, beside the wire's own limit and other event stores.

python -m benchmarks.replay [--events 40000] [--rounds 3] [--json]

All in one run, turn by turn, each in a process of its own, with the same payloads. `raw_limit` is a
blocking socket that only counts the messages of the same stream. UmaDB is `umadb_per_s` undecoded
and `umadb_decoded_per_s` decoded like all others. A peer that is not installed is null. A table
goes to stderr, unless `--json` asks for the JSON line alone.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.measuring import Results, show
from benchmarks.servers import Servers, running

NATS_PY_EVENTS_MAX = 20_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay")
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    outcome = asyncio.run(run(given.events, given.rounds))
    if not given.json:
        show("Replay", outcome)
    print(json.dumps(outcome))


async def run(events: int, rounds: int) -> dict[str, Any]:
    results = Results()
    async with running() as servers:
        await fill(results, servers, events)
        for _ in range(rounds):
            await replay(results, servers, events)
    return summary(results, events)


async def fill(results: Results, servers: Servers, events: int) -> None:
    await results.measure("ours filled", "ours:imported", servers.nats, events, "fill")
    if servers.postgres:
        await results.measure("pg filled", "eventsourcing_store:filled", servers.postgres, events)
    if servers.sqlite:
        await results.measure("sqlite filled", "eventsourcing_store:filled", servers.sqlite, events)
    if servers.umadb:
        await results.measure("umadb filled", "umadb_store:filled", servers.umadb, events)


async def replay(results: Results, servers: Servers, events: int) -> None:
    few = min(events, NATS_PY_EVENTS_MAX)
    await results.measure("ours", "ours:replayed", servers.nats, events)
    await results.measure("raw", "raw:replayed", servers.nats, events)
    await results.measure("verified", "ours:verified", servers.nats, events)
    await results.measure("nats_py", "nats_py:replayed", servers.nats, few)
    if servers.postgres:
        await results.measure("pg", "eventsourcing_store:replayed", servers.postgres, events)
    if servers.sqlite:
        await results.measure("sqlite", "eventsourcing_store:replayed", servers.sqlite, events)
    if servers.umadb:
        await results.measure("umadb", "umadb_store:replayed", servers.umadb, events)
        await results.measure(
            "umadb_decoded", "umadb_store:replayed_decoded", servers.umadb, events
        )


def summary(results: Results, events: int) -> dict[str, Any]:
    return {
        "events": events,
        "events_per_s": results.per_s("ours"),
        "verified_per_s": results.per_s("verified"),
        "raw_limit_per_s": results.per_s("raw"),
        "nats_py_per_s": results.per_s("nats_py"),
        "eventsourcing_pg_per_s": results.per_s("pg"),
        "eventsourcing_sqlite_per_s": results.per_s("sqlite"),
        "umadb_per_s": results.per_s("umadb"),
        "umadb_decoded_per_s": results.per_s("umadb_decoded"),
        "cpu_us_per_event": results.cpu_us("ours"),
        "verified_cpu_us_per_event": results.cpu_us("verified"),
        "raw_limit_cpu_us_per_event": results.cpu_us("raw"),
        "nats_py_cpu_us_per_event": results.cpu_us("nats_py"),
        "eventsourcing_pg_cpu_us_per_event": results.cpu_us("pg"),
        "eventsourcing_sqlite_cpu_us_per_event": results.cpu_us("sqlite"),
        "umadb_decoded_cpu_us_per_event": results.cpu_us("umadb_decoded"),
    }


if __name__ == "__main__":
    main()
