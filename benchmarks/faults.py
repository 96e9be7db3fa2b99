"""Lost, doubled or reordered events under faults: concurrent writers, a proxy and killed servers.

python -m benchmarks.faults [--ops 20000] [--seed 1] [--replicas 1|3] [--json]

Clients reach the real nats-server only through a proxy that drops, delays, doubles and cuts whole
protocol messages by a seeded schedule, while servers are killed with SIGKILL (of a cluster: any
node, every other time the ledger's leader). Afterwards the ledger is read back and judged against
what the clients were told. Exit code 4 unless `lost`, `doubled`, `reordered` and `unresolved` (the
client could never find out) are all 0.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from logging import ERROR, basicConfig, getLogger
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from nats.aio.client import Client

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect, jetstream, patiently, reaching
from adapters.storage.streams import LEDGER, provision
from benchmarks.faulty.cluster import name_of, node_child, prepare_cluster
from benchmarks.faulty.fates import Kind, Rates, Schedule
from benchmarks.faulty.history import Finding, judge, judge_follower, tally
from benchmarks.faulty.proxy import FaultProxy
from benchmarks.faulty.workload import FOLDING, Clients, Progress, planned
from commands.ports import Damaged, Unavailable
from domain.events import Recorded
from ictus.embedded import Nats, nats_child, prepare_nats
from ictus.supervisor import Supervisor

CONNECTIONS = 4
WRITERS_PER_CONNECTION = 6
KILLS_MIN, OPERATIONS_PER_KILL = 3, 1000
FOLLOWER_SECONDS_MAX = 30.0
FINDINGS_SHOWN = 10
VERIFICATION_FAILED, INTERRUPTED = 4, 130

log = getLogger(__name__)

RATES: dict[Kind, Rates] = {
    "publish": Rates(drop=0.005, delay=0.01, duplicate=0.01, cut=0.002),
    "ack": Rates(drop=0.01, delay=0.01, duplicate=0.01, cut=0.003),
    "answer": Rates(drop=0.0002, delay=0.0005, cut=0.0001),
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--ops", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicas", type=int, choices=(1, 3), default=1)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    basicConfig(level=ERROR, stream=sys.stderr)
    result = asyncio.run(run(given.ops, given.seed, given.replicas, quiet=given.json))
    print(json.dumps(result))
    if any(result[wrong] for wrong in ("lost", "doubled", "reordered", "unresolved")):
        sys.exit(VERIFICATION_FAILED)


async def run(ops: int, seed: int, replicas: int = 1, *, quiet: bool = True) -> dict[str, Any]:
    """One whole measurement, in a directory of its own."""
    async with servers(replicas) as (supervisor, nodes):
        started = time.monotonic()
        urls = [node.url for node in nodes]
        proxy, clients = FaultProxy(urls, Schedule(seed, RATES), seed), Clients(planned(ops, seed))
        async with (
            through(FaultProxy(urls, Schedule(0, {}))) as calm,
            through(proxy) as faulty,
            await connect(calm, "control") as control,
        ):
            await patiently(lambda: provision(control, "demo", replicas))
            killer = Killer(supervisor, control, replicas)
            async with beside(killer.kill(clients, ops, seed), tell(clients, proxy, ops, quiet)):
                ledger = JetStreamLedger(control)
                followed, held = await write_and_read(clients, proxy, faulty, ledger)
        findings = judge(clients.operations, held, FOLDING) + judge_follower(followed, held)
        show(findings)
        return {
            **found(ops, clients, findings),
            "events": len(held),
            "kills": killer.kills,
            **done_by(proxy),
            "abandoned": clients.counts["abandoned"],
            "retried": clients.counts["retried"],
            "replicas": replicas,
            "seed": seed,
            "seconds": round(time.monotonic() - started, 1),
        }
    raise SystemExit(INTERRUPTED)


@asynccontextmanager
async def servers(replicas: int) -> AsyncIterator[tuple[Supervisor, list[Nats]]]:
    """One server, or a cluster of three; each is started again when it dies."""
    with TemporaryDirectory(prefix="ictus-faults-") as name:
        async with Supervisor(Path(name) / "run") as supervisor:
            if replicas == 1:
                nodes = [prepare_nats(Path(name) / "0")]
                children = [nats_child(nodes[0])]
            else:
                nodes = prepare_cluster(Path(name))
                children = [node_child(node, number) for number, node in enumerate(nodes)]
            await asyncio.gather(*(supervisor.start(child) for child in children))
            yield supervisor, nodes


@asynccontextmanager
async def through(proxy: FaultProxy) -> AsyncIterator[str]:
    try:
        yield await proxy.open()
    finally:
        await proxy.close()


async def write_and_read(
    clients: Clients, proxy: FaultProxy, url: str, calm: JetStreamLedger
) -> tuple[list[Recorded], list[Recorded]]:
    """What a follower got during all the writing, and then the whole log, read in peace."""
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await connect(url, f"writers-{number}"))
            for number in range(CONNECTIONS)
        ]
        follower = Follower()
        async with beside(follower.follow(JetStreamLedger(connections[0]))):
            async with asyncio.TaskGroup() as writers:
                for connection in connections:
                    ledger = JetStreamLedger(connection)
                    for _ in range(WRITERS_PER_CONNECTION):
                        writers.create_task(clients.write(ledger))
            proxy.calm = True
            held = await read_back(calm)
            await follower.catch_up(len(held))
    return follower.followed, held


class Follower:
    """One that reads along; `followed` is what it got."""

    def __init__(self) -> None:
        self.followed: list[Recorded] = []
        self._progress = Progress()

    async def follow(self, ledger: JetStreamLedger) -> None:
        """Until cancelled; a ledger that cries damage is told on stderr and ends it."""
        try:
            async for recorded in ledger.follow():
                self.followed.append(recorded)
                self._progress.advance()
        except Damaged as damage:
            log.error("a follower: %s", damage)

    async def catch_up(self, events: int) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOWER_SECONDS_MAX):
                await self._progress.reached(events)


async def read_back(ledger: JetStreamLedger) -> list[Recorded]:
    async def attempt() -> list[Recorded]:
        return [recorded async for recorded in ledger.read()]

    return await patiently(attempt)


class Killer:
    """Ends servers with SIGKILL at seeded points of a run; `kills` says how many it ended."""

    def __init__(self, supervisor: Supervisor, control: Client, replicas: int) -> None:
        self.kills = 0
        self._supervisor = supervisor
        self._control = control
        self._replicas = replicas

    async def kill(self, clients: Clients, ops: int, seed: int) -> None:
        random = Random(seed)
        points = range(ops // 20, ops * 9 // 10)
        kills = min(max(KILLS_MIN, ops // OPERATIONS_PER_KILL), len(points))
        for point in sorted(random.sample(points, kills)):
            await clients.finished.reached(point)
            self._supervisor.kill(await self._victim(random))
            self.kills += 1

    async def _victim(self, random: Random) -> str:
        if self._replicas == 1:
            return "nats"
        any_node = name_of(random.randrange(self._replicas))
        return (self.kills % 2 and await self._leader()) or any_node

    async def _leader(self) -> str:
        """The node that leads the ledger's stream; empty while nobody is known to."""
        with suppress(Unavailable), reaching(self._control):
            info = await jetstream(self._control).stream_info(LEDGER)
            return (info.cluster and info.cluster.leader) or ""
        return ""


@asynccontextmanager
async def beside(*works: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Work that goes on during the body, and not after it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


async def tell(clients: Clients, proxy: FaultProxy, ops: int, quiet: bool) -> None:
    while not quiet:
        await asyncio.sleep(1)
        finished, faults = clients.finished.reached_count, proxy.counts.total()
        print(f"{finished} of {ops} operations, {faults} faults", file=sys.stderr)


def show(findings: Sequence[Finding]) -> None:
    for finding in findings[:FINDINGS_SHOWN]:
        print(f"{finding.wrong}: {finding.sentence}", file=sys.stderr)


def found(ops: int, clients: Clients, findings: Sequence[Finding]) -> dict[str, int]:
    acked = sum(operation.acked is not None for operation in clients.operations)
    return {"ops": ops, "acked": acked, **tally(findings), "unresolved": ops - acked}


def done_by(proxy: FaultProxy) -> dict[str, int]:
    def total(fault: str) -> int:
        return sum(times for name, times in proxy.counts.items() if name.startswith(fault))

    return {
        "cuts": total("cut"),
        "dropped_acks": proxy.counts["drop ack"],
        "dropped_publishes": proxy.counts["drop publish"],
        "delayed": total("delay"),
        "duplicated": total("duplicate"),
    }


if __name__ == "__main__":
    main()
