"""The servers that benchmarks compare, each in its own folder, each syncing what it acknowledges."""

import sys
from asyncio import gather, open_connection
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from adapters.storage.nats_connection import connect
from adapters.storage.streams import check_durability, provision
from ictus.embedded import Postgres, nats_child, postgres_child, prepare_nats, prepare_postgres
from ictus.kept import HOST, free_port, make_private
from ictus.supervisor import Child, Supervisor


class Servers(Struct, frozen=True):
    """Addresses; a peer that is not installed has none. `dsn` is the read models' own database."""

    nats: str
    dsn: str | None
    postgres: dict[str, str] | None
    sqlite: dict[str, str] | None
    umadb: str | None


@asynccontextmanager
async def running(*, read_models: bool = False) -> AsyncIterator[Servers]:
    """NATS with a new ledger, PostgreSQL for read models, and of the peers those installed."""
    with TemporaryDirectory(prefix="ictus-bench-") as name:
        folder = Path(name)
        make_private(folder / "run")
        async with Supervisor(folder / "run") as supervisor:
            nats = prepare_nats(folder / "nats")
            peer = _has("psycopg")
            postgres = prepare_postgres(folder / "postgres") if peer or read_models else None
            umadb = free_port() if _has("umadb") else None
            children = [nats_child(nats)]
            children += [postgres_child(postgres)] if postgres else []
            children += [_umadb_child(umadb, folder)] if umadb else []
            await gather(*(supervisor.start(child) for child in children))
            async with await connect(nats.url, "bench") as client:
                await check_durability(client, nats.monitor_url)
                await provision(client, "demo")
            yield Servers(
                nats=nats.url,
                dsn=postgres.dsn if postgres else None,
                postgres=_postgres_environment(postgres) if postgres and peer else None,
                sqlite=_sqlite_environment(folder),
                umadb=f"http://{HOST}:{umadb}" if umadb else None,
            )


def _has(module: str) -> bool:
    return find_spec(module) is not None


def _umadb_child(port: int, folder: Path) -> Child:
    async def ready() -> bool:
        try:
            _, writer = await open_connection(HOST, port)
        except OSError:
            return False
        writer.close()
        return True

    program = str(Path(sys.executable).with_name("umadb"))
    make_private(folder / "umadb")
    return Child(
        name="umadb",
        argv=(program, "--listen", f"{HOST}:{port}", "--db-path", str(folder / "umadb" / "db")),
        env={},
        log=folder / "run" / "umadb.log",
        ready=ready,
    )


def _postgres_environment(postgres: Postgres) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": "ictus",
        "POSTGRES_HOST": HOST,
        "POSTGRES_PORT": str(postgres.port),
        "POSTGRES_USER": "ictus",
        "POSTGRES_PASSWORD": postgres.password,
    }


def _sqlite_environment(folder: Path) -> dict[str, str]:
    return {
        "PERSISTENCE_MODULE": "eventsourcing.sqlite",
        "SQLITE_DBNAME": str(folder / "events.sqlite"),
    }
