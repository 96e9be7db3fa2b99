"""One real NATS and one real PostgreSQL for the whole run; nothing is left behind."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import asyncpg
import nats
import pytest

from adapters.storage.postgres import PostgresDatabase
from ictus.embedded import prepare_nats, prepare_postgres
from ictus.settings import NatsSettings, PostgresSettings, Settings
from ictus.wiring import furnish, open_house
from projections import PROJECTIONS
from tests.commandline import Ictus
from tests.projections.following import project
from tests.servers import NatsServer, PostgresServer


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Not pytest's own temporary folder, which it closes to the account PostgreSQL runs as."""
    folder = Path(mkdtemp(prefix="ictus-tests-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def nats_server(server_folder: Path) -> Iterator[NatsServer]:
    """Shared by all tests: one that kills it must restart it."""
    server = NatsServer(prepare_nats(server_folder / "nats"))
    server.restart()
    yield server
    server.stop()


@pytest.fixture
async def fresh_nats(nats_server: NatsServer) -> NatsServer:
    """The shared server without any stream (so without key-value buckets and objects too)."""
    nats_server.ensure()
    client = await nats.connect(nats_server.url)
    for stream in await client.jetstream().streams_info():
        await client.jetstream().delete_stream(stream.config.name or "")
    await client.close()
    return nats_server


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """Shared by all tests: one that kills it must restart it."""
    server = PostgresServer(prepare_postgres(server_folder / "postgres"))
    server.restart()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_dsn(postgres_server: PostgresServer) -> str:
    return postgres_server.dsn


@pytest.fixture
async def fresh_database(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """The DSN of an empty database that is dropped after the test."""
    postgres_server.ensure()
    name = f"test_{uuid4().hex}"
    await _execute(postgres_server.dsn, f"CREATE DATABASE {name}")
    yield postgres_server.dsn_of(name)
    postgres_server.ensure()
    await _execute(postgres_server.dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


# The command line


@pytest.fixture
def alone(tmp_path: Path) -> Ictus:
    """No server anywhere, an empty data directory."""
    return Ictus(Settings(data=str(tmp_path)))


@pytest.fixture
def empty(fresh_nats: NatsServer, fresh_database: str, tmp_path: Path) -> Ictus:
    """Servers with nothing in them."""
    settings = Settings(
        data=str(tmp_path),
        nats=NatsSettings(fresh_nats.url, fresh_nats.monitor_url),
        postgres=PostgresSettings(fresh_database),
    )
    return Ictus(settings)


@pytest.fixture
async def furnished(empty: Ictus) -> Ictus:
    """A new site: streams, the advice catalogue in the ledger, read models that know it."""
    async with open_house(empty.settings, "test") as house:
        await furnish(house)
        async with PostgresDatabase(house.settings.postgres.dsn) as database:
            await project(house.books.ledger, database, *PROJECTIONS.values())
    return empty
