"""Bit rot under the ledger: is every damage to the server's files found, and mended?

python -m benchmarks.bitrot [--trials 200] [--seed 1] [--events 3000] [--json]

A ledger is written to a real nats-server and witnessed to its end. Each trial damages a copy of the
server's store at a random place (a flipped bit, a truncation, files rolled back to an older copy),
while the server is stopped or running, with or without its index, and audits what the server then
gives. A trial is `harmless` when every message is still delivered right and the audit finds nothing,
`silent` when it finds nothing although one is not, `detected` otherwise, and `repaired` when
`ictus audit repair` then brings back the identical ledger. `recovery_point_events` is how far the
witness was behind the writer at most. Exit code 4 unless all that was not harmless was detected and
repaired.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from shutil import copytree, rmtree
from tempfile import mkdtemp
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

from nats.aio.client import Client

from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.messages import JetStreamMessages
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.restore import stream_names
from adapters.storage.signing import FileSigningKey
from adapters.storage.streams import LEDGER, provision
from commands.ports import Commit, Damaged, Database, Unavailable
from domain.events import Request
from domain.person import Consented
from ictus import embedded
from ictus.repair import Workshop, served, store
from ictus.settings import Settings
from ictus.supervisor import NotReady, Supervisor
from workers.witness import audit, rows, worker
from workers.witness.stream import Stored

VERIFICATION_FAILED = 4
EVENTS_PER_COMMIT_MAX = 40
WITNESS_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05

Kind = Literal["flip", "truncate", "roll back"]
KINDS: tuple[Kind, ...] = ("flip", "flip", "flip", "truncate", "roll back")
Verdict = Literal["harmless", "detected", "silent"]


class Trial(NamedTuple):
    """What is done to a copy of the store. `restart` is for a server that ran meanwhile."""

    number: int
    kind: Kind
    running: bool
    restart: bool
    lose_index: bool


class Site(NamedTuple):
    """A prepared data directory, two copies of its store, and what the ledger in it holds."""

    folder: Path
    good: Path
    older: Path
    database: Database
    messages: tuple[Stored, ...]
    recovery_point_events: int

    @property
    def key(self) -> FileSigningKey:
        return FileSigningKey(bytes(range(32)))

    @property
    def blobs(self) -> DirectoryBlobs:
        return DirectoryBlobs(self.folder / "objects")

    def witness_means(self, client: Client) -> worker.Means:
        return worker.Means(JetStreamMessages(client), self.blobs, self.database, self.key)

    def audit_means(self, client: Client) -> audit.Means:
        return audit.Means(JetStreamMessages(client), self.blobs, self.database, self.key)

    def workshop(self) -> Workshop:
        settings = Settings(data=str(self.folder))
        return Workshop(settings, self.blobs, self.database, self.key)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bitrot")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=3000)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    result = asyncio.run(run(given.trials, given.seed, given.events, quiet=given.json))
    print(json.dumps(result))
    if not is_right(result):
        sys.exit(VERIFICATION_FAILED)


def is_right(result: dict[str, Any]) -> bool:
    harmed = result["trials"] - result["harmless"]
    return (result["silent"], result["detected"], result["repaired"]) == (0, harmed, harmed)


async def run(trials: int, seed: int, events: int, *, quiet: bool = True) -> dict[str, Any]:
    """One whole measurement, in a directory of its own."""
    started = time.monotonic()
    chance, counts = Random(seed), Counter[str]()
    async with prepared(events, chance) as site:
        for number in range(trials):
            trial = drawn(number, chance)
            verdict, what = await undergo(site, trial, chance)
            repaired = verdict != "harmless" and await is_mended(site)
            counts[verdict] += 1
            counts["repaired"] += repaired and verdict == "detected"
            if not quiet or verdict == "silent" or repaired == (verdict == "harmless"):
                print(trial, what, verdict, "repaired" * repaired, file=sys.stderr)
        return {
            "trials": trials,
            **{name: counts[name] for name in ("harmless", "detected", "repaired", "silent")},
            "recovery_point_events": site.recovery_point_events,
            "events": events,
            "seed": seed,
            "seconds": round(time.monotonic() - started, 1),
        }


def drawn(number: int, chance: Random) -> Trial:
    running = chance.random() < 0.5
    restart = not running or chance.random() < 0.6
    lose_index = restart and chance.random() < 0.5
    return Trial(number, chance.choice(KINDS), running, restart, lose_index)


# The ledger


@asynccontextmanager
async def prepared(events: int, chance: Random) -> AsyncIterator[Site]:
    """PostgreSQL runs, the nats-server does not."""
    folder = Path(mkdtemp(prefix="ictus-bitrot-"))
    try:
        async with Supervisor(folder / "run") as supervisor:
            postgres = await asyncio.to_thread(embedded.prepare_postgres, folder)
            await supervisor.start(embedded.postgres_child(postgres))
            async with PostgresDatabase(postgres.dsn) as database:
                site = Site(folder, folder / "good", folder / "older", database, (), 0)
                await fill(site, events * 2 // 3, chance)
                copytree(folder / "nats", site.older)
                behind = await fill(site, events - events * 2 // 3, chance)
                copytree(folder / "nats", site.good)
                async with served(folder) as client:
                    messages = tuple(await delivered(client))
                yield site._replace(messages=messages, recovery_point_events=behind)
    finally:
        rmtree(folder)


async def fill(site: Site, events: int, chance: Random) -> int:
    """Writes so many beside a witness, waits for it, and says how far it was behind at most."""
    async with served(site.folder) as client:
        await provision(client, "demo")
        ledger = JetStreamLedger(client)
        first = (await ledger.head()).sequence
        behind = 0
        witness = asyncio.create_task(worker.run(site.witness_means(client)))
        while (head := (await ledger.head()).sequence) < first + events:
            count = min(chance.randint(1, EVENTS_PER_COMMIT_MAX), first + events - head)
            last = await ledger.append(request(), [commit(count, chance)])
            behind = max(behind, last - await witnessed(site))
        await caught_up(site, first + events)
        witness.cancel()
        await asyncio.gather(witness, return_exceptions=True)
    return behind


def commit(count: int, chance: Random) -> Commit:
    """Of payloads that differ in every event, as real ones do."""
    events = tuple(
        Consented(notice=f"{chance.getrandbits(800):x}", language="en", text_sha256="0" * 64)
        for _ in range(count)
    )
    return Commit("person", UUID(int=chance.getrandbits(128), version=4), events)


def request() -> Request:
    now = datetime.now(UTC)
    return Request(
        id=uuid4(), actor="system", source="/ictus/bitrot", time=now, correlation=uuid4()
    )


async def witnessed(site: Site) -> int:
    async with site.database.acquire() as db:
        at = await rows.position(db)
    return at.sequence if at else 0


async def caught_up(site: Site, sequence: int) -> None:
    """Raises TimeoutError when the witness does not come as far."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + WITNESS_SECONDS_MAX
    while await witnessed(site) < sequence:
        if clock() > give_up:
            raise TimeoutError(f"the witness did not reach {sequence}")
        await asyncio.sleep(POLL_SECONDS)


async def delivered(client: Client) -> list[Stored]:
    stream = JetStreamMessages(client)
    return [message async for message in stream.read(1, (await stream.head()).sequence)]


# A trial


async def undergo(site: Site, trial: Trial, chance: Random) -> tuple[Verdict, str]:
    """The verdict, and what was damaged where."""
    renew(site)
    try:
        if not trial.running:
            what = damage(site, trial, chance)
            async with served(site.folder) as client:
                return await verdict(site, client), what
        async with served(site.folder) as client:
            await delivered(client)
            what = damage(site, trial, chance)
            if not trial.restart:
                return await verdict(site, client), what
        if trial.lose_index:
            index(site).unlink(missing_ok=True)
        async with served(site.folder) as client:
            return await verdict(site, client), what
    except NotReady:
        return "detected", f"{what}; the server does not start"


async def verdict(site: Site, client: Client) -> Verdict:
    if LEDGER not in await stream_names(client):
        return "detected"
    try:
        report = await audit.verify(site.audit_means(client))
    except (Damaged, Unavailable):
        return "detected"
    if not report.whole:
        return "detected"
    return "harmless" if tuple(await delivered(client)) == site.messages else "silent"


async def is_mended(site: Site) -> bool:
    try:
        outcome = await site.workshop().repair()
    except (Damaged, Unavailable) as error:
        print(f"not repaired: {error}", file=sys.stderr)
        return False
    async with served(site.folder) as client:
        return outcome.whole and tuple(await delivered(client)) == site.messages


def renew(site: Site) -> None:
    """The store as it was when all was well."""
    rmtree(site.folder / "damaged", ignore_errors=True)
    rmtree(site.folder / "nats")
    copytree(site.good, site.folder / "nats")


def damage(site: Site, trial: Trial, chance: Random) -> str:
    """One file of the ledger's stream, or all of them when rolled back; says which and where."""
    stream = store(site.folder) / LEDGER
    if trial.lose_index:
        index(site).unlink(missing_ok=True)
    if trial.kind == "roll back":
        return roll_back(site, chance)
    file = chosen(stream, chance)
    size = file.stat().st_size
    at = chance.randrange(size)
    with file.open("r+b") as opened:
        if trial.kind == "truncate":
            opened.truncate(at)
        else:
            opened.seek(at)
            byte = opened.read(1)[0]
            opened.seek(at)
            opened.write(bytes([byte ^ 1 << chance.randrange(8)]))
    return f"{file.relative_to(stream)} at byte {at} of {size}"


def roll_back(site: Site, chance: Random) -> str:
    """To the copy of when a third of the events was not there: one file, or the whole stream."""
    names = {path.name: path for path in files(site.folder / "nats", LEDGER)}
    older = [path for path in files(site.older, LEDGER) if path.name in names]
    if chance.random() < 0.5:
        older = [chance.choice([path for path in older if path.suffix in (".blk", ".db")])]
    for path in older:
        names[path.name].write_bytes(path.read_bytes())
    return f"{len(older)} files: {', '.join(path.name for path in older)}"


def files(nats: Path, stream: str) -> list[Path]:
    return sorted(path for path in nats.rglob("*") if stream in path.parts and path.is_file())


def chosen(stream: Path, chance: Random) -> Path:
    """Mostly where the messages lie, as on a disk, where bytes rot by their number."""
    blocks = sorted(path for path in stream.rglob("*.blk") if path.stat().st_size)
    others = sorted(path for path in stream.rglob("*") if path.is_file() and path.stat().st_size)
    return chance.choice(blocks if chance.random() < 0.8 else others)


def index(site: Site) -> Path:
    return store(site.folder) / LEDGER / "msgs" / "index.db"


if __name__ == "__main__":
    main()
