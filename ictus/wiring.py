"""Connects ports to their adapters, for one process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from msgspec.structs import replace
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from adapters.storage.blobs import open_blobs
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.nkeys import load_nkey
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.queue import BucketBoard, BucketSlots, JetStreamQueue
from adapters.storage.streams import Unfit, check_durability, check_recovered, provision
from adapters.storage.vault import NatsVault, load_master_key
from commands.examinations import publish_catalogue
from commands.ports import Blobs, Board, Database, Missing, Queue, Slots
from commands.register import Register
from commands.transact import Books, from_outside
from domain.events import DEAD_LETTER, EXAMINATION, MODEL, PERSON, Request
from domain.identity import Instant
from ictus.nkeys import nkey_file
from ictus.settings import Settings
from workers.witness.rows import remembered


def release() -> str:
    """The version of this program."""
    return version("ictus")


class SystemClock:
    def now(self) -> Instant:
        return datetime.now(UTC)


class House(NamedTuple):
    """Everything one process works with. Postgres connects on first use. `troubles`, by whose they
    are, is what a person must mend; /readyz tells them."""

    settings: Settings
    client: Client
    books: Books
    queue: Queue
    slots: Slots
    board: Board
    blobs: Blobs
    database: Database
    troubles: dict[str, str]

    def models(self) -> Register:
        return Register(self.books.ledger, MODEL)

    def examinations(self) -> Register:
        return Register(self.books.ledger, EXAMINATION)

    def people(self) -> Register:
        return Register(self.books.ledger, PERSON)

    def dead_letters(self) -> Register:
        return Register(self.books.ledger, DEAD_LETTER)

    def operator(self) -> Request:
        """A request of whoever runs the command line."""
        return from_outside(self.books, uuid4(), "system", "cli")


def as_user(settings: Settings, user: str) -> Settings:
    """As the NATS user that is set; where none is, as `user`, whose seed lies in a folder of seeds."""
    nats = settings.nats
    file = nkey_file(settings.nkeys, user)
    if nats.nkey or "@" in nats.url or not (nats.nkeys or file.exists()):
        return settings
    return replace(settings, nats=replace(nats, nkey=str(file)))


async def connected(settings: Settings, name: str) -> Client:
    """To the NATS server that is set, as the user that is set."""
    nkey = load_nkey(Path(settings.nats.nkey)) if settings.nats.nkey else None
    return await connect(settings.nats.url, name, nkey)


def objects(settings: Settings, url: str) -> Blobs:
    """The object store at `url`, by the login that is set."""
    given = settings.blobs
    return open_blobs(
        url,
        endpoint=given.endpoint,
        access_key=given.access_key,
        secret_key=given.secret_key,
        region=given.region,
        secure=given.secure,
    )


@asynccontextmanager
async def open_house(settings: Settings, user: str) -> AsyncIterator[House]:
    """Raises Unavailable when NATS does not answer, PermissionError where `user` may not do it."""
    settings = as_user(settings, user)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(await connected(settings, f"ictus-{user}"))
        database = await stack.enter_async_context(PostgresDatabase(settings.postgres.dsn))
        vault = NatsVault(client, load_master_key(settings.master_key))
        yield House(
            settings=settings,
            client=client,
            books=Books(JetStreamLedger(client), vault, SystemClock()),
            queue=JetStreamQueue(client),
            slots=BucketSlots(client),
            board=BucketBoard(client),
            blobs=objects(settings, settings.blobs_url),
            database=database,
            troubles={},
        )


async def furnish(house: House) -> None:
    """What must stand before any role starts: streams, proven durability, keys, the catalogue.

    Raises Unfit when the event store is not as it must be or another ledger was here, Damaged for
    another ledger's master key, Unavailable.
    """
    settings = house.settings
    await check_durability(
        house.client, settings.nats.monitor_url, unsafe_durability=settings.unsafe_durability
    )
    await _check_new(house)
    await provision(house.client, settings.origin, settings.nats.replicas)
    await _check_keys(house)
    await publish_catalogue(house.books, house.operator())


async def _check_new(house: House) -> None:
    """No ledger is begun where there was one: its streams are lost, or in another account."""
    settings = house.settings
    try:
        await house.books.ledger.head()
    except NotFoundError:
        await check_recovered(settings.nats.monitor_url)
        if settings.postgres.dsn:
            await _check_memory(house.database)


async def _check_memory(database: Database) -> None:
    async with database.acquire() as db:
        known = await remembered(db)
    if known:
        raise Unfit(
            f"Postgres remembers the ledger {known}, and this account of the NATS server has none."
            " Restore it (docs/operations.md), or begin anew with an empty database."
        )


async def _check_keys(house: House) -> None:
    """A ledger with events never silently gets new keys: what the old ones sealed would be lost."""
    if not (await house.books.ledger.head()).sequence:
        await house.books.vault.derive("ledger")
        return
    try:
        await house.books.vault.check()
    except Missing as missing:
        raise Unfit(
            "The ledger has events but its keys are gone: restore the bucket ICTUS_KEYS and the"
            " master key from their backup."
        ) from missing
