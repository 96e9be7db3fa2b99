"""Repairs or restores the ledger of this machine, while nobody else runs its servers.

The ledger is built in a server of its own beside the damaged one, and takes its place when it is
complete. The damaged store is kept aside and never deleted; whatever else the server keeps (keys,
queues) stays where it is.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from nats.aio.client import Client

from adapters.storage.messages import JetStreamMessages
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.restore import make_ledger, put_durables, stream_names, write_messages
from adapters.storage.streams import KEYS_BUCKET, LEDGER, STREAMS, Unfit, provision
from adapters.storage.users import ADMIN, STREAMS_ACCOUNT
from commands.ports import Blobs, Damaged, Database, Unavailable
from ictus import embedded
from ictus.repaired import (
    DURABLE_SUBJECTS,
    Kept,
    Outcome,
    Remains,
    latest,
    lost_of,
    untouched,
)
from ictus.settings import BadSetting, Settings
from ictus.supervisor import NotReady, Supervisor
from ictus.wiring import as_user, connected, objects
from workers.witness import audit, repair as plans, rows
from workers.witness.audit import Report
from workers.witness.notes import PublicKey, ledger_of
from workers.witness.repair import Plan

KEYS_STREAM = f"KV_{KEYS_BUCKET}"


async def repair_ledger(settings: Settings, key: PublicKey) -> Outcome:
    """Audits the embedded ledger and restores its stream if that is not whole.

    Raises AlreadyRunning while another ictus runs here; Damaged when the archive is not whole, and
    then nothing was changed; Unavailable.
    """
    _must_be_embedded(settings)
    if not (settings.folder / "ports.json").exists():
        raise Unavailable(f"there is no ledger in {settings.folder}: --data DIR names another")
    async with workshop(settings, settings.blobs_url, key) as shop:
        return await shop.repair()


async def restore_ledger(settings: Settings, source: str, key: PublicKey) -> Outcome:
    """Writes the ledger that the witness archived at `source` into an empty server: the one that is
    set, which may be a cluster, or else the embedded one.

    Durables go on after what Postgres knows, or else after the last event: nothing is said twice.
    Raises AlreadyRunning, Unfit where a ledger lies already, Damaged, Unavailable.
    """
    async with workshop(settings, source, key) as shop:
        return await shop.restore()


@asynccontextmanager
async def workshop(settings: Settings, source: str, key: PublicKey) -> AsyncIterator["Workshop"]:
    """Holds the supervisor's lock, so that no role writes, and has Postgres run."""
    async with Supervisor(settings.folder / "run") as supervisor:
        dsn = settings.postgres.dsn or await _started_postgres(supervisor, settings.folder)
        async with PostgresDatabase(dsn) as database:
            yield Workshop(settings, objects(settings, source), database, key)


class Workshop:
    """Repairs the ledger in `folder`; nobody else may use its nats-server meanwhile."""

    def __init__(
        self, settings: Settings, blobs: Blobs, database: Database, key: PublicKey
    ) -> None:
        self._settings, self._folder = settings, settings.folder
        self._blobs, self._database, self._key = blobs, database, key

    async def repair(self) -> Outcome:
        aside = await asyncio.to_thread(self._keep)
        found = await self._examine()
        if found.report and not found.plan:
            await asyncio.to_thread(shutil.rmtree, aside)
            return untouched(found.report)
        plan = found.plan or await plans.plan(self._blobs, self._key, None)
        kept = await self._kept(plan)
        positions = latest(kept.durables, found.durables, plan.head)
        await self._build(plan, positions)
        self._exchange(aside)
        known = max(kept.known, found.report.head if found.report else 0)
        return await self._judge(plan, positions, found, known, aside)

    async def restore(self) -> Outcome:
        if not self._settings.nats.url and store(self._folder).joinpath(LEDGER).exists():
            raise Unfit(f"There is a ledger in {self._folder}: restore into an empty directory.")
        plan = await plans.plan(self._blobs, self._key, None)
        kept = await self._kept(plan)
        positions = latest(dict.fromkeys(DURABLE_SUBJECTS, plan.head) | kept.durables, {}, 0)
        async with await self._emptied() as client:
            found = await stream_names(client)
            await self._write(client, plan, positions)
            await _must_equal(client, plan)
        lost = lost_of(plan, kept.known)
        return Outcome(
            whole=lost is None,
            ledger=ledger_of(plan.checkpoint.origin),
            events=plan.head,
            archived=plan.archive.size,
            lost=lost,
            durables=positions,
            emptied=tuple({KEYS_STREAM} - found),
        )

    async def _examine(self) -> Remains:
        """A server that cannot even start on its store gives nothing."""
        try:
            async with served(self._folder) as client:
                return await self._read(client)
        except NotReady:
            return Remains()

    async def _read(self, client: Client) -> Remains:
        names = frozenset(await stream_names(client))
        if LEDGER not in names:
            return Remains(names)
        stream = JetStreamMessages(client)
        report = await self._audit(client)
        if all(finding.where != "stream" for finding in report.findings):
            return Remains(names, report)
        plan = await plans.plan(self._blobs, self._key, stream)
        return Remains(names, report, plan, await stream.durables())

    async def _audit(self, client: Client) -> Report:
        stream = JetStreamMessages(client)
        return await audit.verify(audit.Means(stream, self._blobs, self._database, self._key))

    async def _kept(self, plan: Plan) -> Kept:
        """Raises Damaged when Postgres knows of more witnessed events than the archive."""
        ledger = ledger_of(plan.checkpoint.origin)
        async with self._database.acquire() as db:
            at = await rows.position(db)
            if at is None or at.ledger != ledger:
                return Kept({}, plan.archive.size)
            if at.sequence > plan.archive.size:
                raise Damaged(
                    f"the archive ends at sequence {plan.archive.size}, and {at.sequence} events"
                    " were witnessed: the object store was rolled back"
                )
            cursor = 0
            if await db.fetchval("SELECT to_regclass('projection.cursor')"):
                query = "SELECT coalesce(max(sequence), 0) FROM projection.cursor WHERE ledger = $1"
                cursor = await db.fetchval(query, ledger)
            return Kept(await rows.durables(db), max(at.sequence, cursor))

    async def _build(self, plan: Plan, positions: Mapping[str, int]) -> None:
        new = new_folder(self._folder)
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
        async with served(new) as client:
            await self._write(client, plan, positions)

    async def _write(self, client: Client, plan: Plan, positions: Mapping[str, int]) -> None:
        ledger = ledger_of(plan.checkpoint.origin)
        await make_ledger(client, ledger, plan.origin, self._settings.nats.replicas)
        await write_messages(client, plan.messages())
        subjects = {name: DURABLE_SUBJECTS[name] for name in positions}
        await put_durables(client, subjects, positions)

    async def _emptied(self) -> AbstractAsyncContextManager[Client]:
        """The server to restore into: others run the one that is set, as whose admin we must come."""
        if self._settings.nats.url:
            return await connected(as_user(self._settings, ADMIN), "ictus-restore")
        return served(self._folder)

    def _keep(self) -> Path:
        """A copy of the store before a server opens it, which would mend it in its own way."""
        aside = self._folder / "damaged" / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        aside.mkdir(mode=0o700, parents=True)
        ledger = store(self._folder) / LEDGER
        if ledger.exists():
            shutil.copytree(ledger, aside / LEDGER)
        return aside

    def _exchange(self, aside: Path) -> None:
        """The new stream takes the place of the damaged one, which is kept as it was and as the
        server left it."""
        ledger, new = store(self._folder) / LEDGER, new_folder(self._folder)
        ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if ledger.exists():
            ledger.rename(aside / f"{LEDGER}.opened")
        (store(new) / LEDGER).rename(ledger)
        shutil.rmtree(new)

    async def _judge(
        self, plan: Plan, positions: dict[str, int], found: Remains, known: int, aside: Path
    ) -> Outcome:
        async with served(self._folder) as client:
            await provision(client, "demo" if plan.origin == "demo" else "site")
            report = await self._audit(client)
        lost = lost_of(plan, known)
        return Outcome(
            whole=report.whole and lost is None,
            ledger=report.ledger,
            events=report.head,
            archived=plan.archive.size,
            tail=len(plan.tail),
            lost=lost,
            forked=plan.forked,
            damaged=str(aside),
            emptied=tuple(name for name in _others() if name not in found.streams),
            durables=positions,
            before=found.findings,
            after=report.findings,
        )


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Client]:
    """The admin's connection to the nats-server of `folder`, which runs for the body only.

    Raises NotReady when it does not start.
    """
    async with Supervisor(folder / "run" / "repair") as supervisor:
        nats = await asyncio.to_thread(embedded.prepare_nats, folder)
        await supervisor.start(embedded.nats_child(nats))
        async with await connect(nats.url, "ictus-repair") as client:
            yield client
    if supervisor.stopped_by:
        raise KeyboardInterrupt


def store(folder: Path) -> Path:
    """Where the embedded nats-server keeps its streams, a folder each."""
    return folder / "nats" / "jetstream" / STREAMS_ACCOUNT / "streams"


def new_folder(folder: Path) -> Path:
    return folder / "repair"


def _must_be_embedded(settings: Settings) -> None:
    if settings.nats.url:
        raise BadSetting(
            "ICTUS_NATS__URL names a server: only an embedded one can be stopped and repaired here"
        )


async def _started_postgres(supervisor: Supervisor, folder: Path) -> str:
    postgres = await asyncio.to_thread(embedded.prepare_postgres, folder)
    await supervisor.start(embedded.postgres_child(postgres))
    return postgres.dsn


def _others() -> list[str]:
    return [stream.name or "" for stream in STREAMS if stream.name != LEDGER]


async def _must_equal(client: Client, plan: Plan) -> None:
    """Raises Damaged unless the stream gives exactly what the archive does."""
    written = JetStreamMessages(client).read(1, plan.head)
    async for right in plan.messages():
        if await anext(written, None) != right:
            raise Damaged(f"message {right.sequence} was not restored as it was")
