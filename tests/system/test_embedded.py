"""The embedded servers are real, private, durable, and come back where they were."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import rmtree
from socket import create_server
from stat import S_IMODE
from tempfile import mkdtemp
from urllib.request import urlopen

import asyncpg
import nats
import pytest

from commands.ports import Unavailable
from ictus.embedded import (
    Nats,
    Postgres,
    nats_at,
    nats_child,
    postgres_at,
    postgres_child,
    prepare_nats,
    prepare_postgres,
)
from ictus.kept import HOST
from ictus.supervisor import Supervisor


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """A data directory whose folder is closed to everybody else, as a home is."""
    folder = Path(mkdtemp(prefix="ictus-tests-"))
    yield folder / ".ictus"
    rmtree(folder)


@pytest.fixture
async def supervisor(data: Path) -> AsyncIterator[Supervisor]:
    async with Supervisor(data / "run") as supervisor:
        yield supervisor


@pytest.fixture
async def running_nats(data: Path, supervisor: Supervisor) -> Nats:
    prepared = prepare_nats(data)
    await supervisor.start(nats_child(prepared))
    return prepared


@pytest.fixture
async def running_postgres(data: Path, supervisor: Supervisor) -> Postgres:
    prepared = prepare_postgres(data)
    await supervisor.start(postgres_child(prepared))
    return prepared


async def query(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_nats_syncs_every_message_and_says_so(running_nats: Nats) -> None:
    answer = await asyncio.to_thread(urlopen, f"{running_nats.monitor_url}/varz")
    facts = json.loads(answer.read())

    assert facts["jetstream"]["config"]["sync_always"] is True
    assert facts["max_payload"] >= 1024 * 1024
    assert facts["host"] == HOST


@pytest.mark.parametrize("login", [{}, {"user": "ictus", "pass": "wrong"}])
async def test_nats_takes_nobody_without_the_password(
    running_nats: Nats, login: dict[str, str]
) -> None:
    reader, writer = await asyncio.open_connection(HOST, running_nats.port)
    assert json.loads((await reader.readline()).removeprefix(b"INFO "))["auth_required"]

    writer.write(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")

    assert await reader.readline() == b"-ERR 'Authorization Violation'\r\n"
    writer.close()
    await writer.wait_closed()


async def test_a_message_survives_the_kill_of_nats(
    running_nats: Nats, supervisor: Supervisor
) -> None:
    async with await nats.connect(running_nats.url) as client:
        await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
        acknowledged = await client.jetstream().publish("kept.one", b"payload")

    killed = supervisor.pid("nats")
    supervisor.kill("nats")
    await supervisor.ready("nats")

    async with await nats.connect(running_nats.url) as client:
        found = await client.jetstream().get_msg("KEPT", acknowledged.seq)
    assert found.data == b"payload"
    assert supervisor.pid("nats") != killed


async def test_postgres_is_what_the_design_asks_for(running_postgres: Postgres) -> None:
    settings = {
        name: await query(running_postgres.dsn, f"SHOW {name}")
        for name in (
            *("fsync", "full_page_writes", "synchronous_commit", "data_checksums"),
            *("server_encoding", "timezone", "password_encryption", "listen_addresses"),
            "unix_socket_directories",
        )
    }

    assert str(await query(running_postgres.dsn, "SHOW server_version")).startswith("18.")
    assert await query(running_postgres.dsn, "SELECT current_database()") == "ictus"
    assert settings == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "timezone": "UTC",
        "password_encryption": "scram-sha-256",
        "listen_addresses": HOST,
        "unix_socket_directories": "",
    }


async def test_postgres_takes_nobody_without_the_password(running_postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(running_postgres.dsn.replace(running_postgres.password, "x"))


async def test_a_row_survives_the_kill_of_postgres(
    running_postgres: Postgres, supervisor: Supervisor
) -> None:
    await query(running_postgres.dsn, "CREATE TABLE kept AS SELECT 42 AS answer")

    killed = supervisor.pid("postgres")
    supervisor.kill("postgres")
    await supervisor.ready("postgres")

    assert await query(running_postgres.dsn, "SELECT answer FROM kept") == 42
    assert supervisor.pid("postgres") != killed


async def test_the_next_run_finds_the_same_addresses_and_the_same_data(data: Path) -> None:
    async with Supervisor(data / "run") as supervisor:
        first = prepare_postgres(data)
        await supervisor.start(postgres_child(first))
        await query(first.dsn, "CREATE TABLE first_run AS SELECT 7 AS answer")
    async with Supervisor(data / "run") as supervisor:
        second = prepare_postgres(data)
        await supervisor.start(postgres_child(second))

        assert await query(second.dsn, "SELECT answer FROM first_run") == 7
    assert first == second == postgres_at(data)


async def test_a_taken_port_is_replaced(tmp_path: Path) -> None:
    first = prepare_nats(tmp_path)

    with create_server((HOST, first.port)):
        second = prepare_nats(tmp_path)

    assert second.port != first.port
    assert (second.monitor_port, second.password) == (first.monitor_port, first.password)
    assert second == nats_at(tmp_path)


async def test_a_lock_file_with_the_id_of_another_program_is_forgotten(data: Path) -> None:
    prepare_postgres(data)
    lock = data / "postgres" / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{data}/postgres\n")

    prepare_postgres(data)

    assert not lock.exists()


async def test_a_half_made_database_is_made_again(server_folder: Path) -> None:
    half_made = server_folder / "half" / "postgres.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18")

    prepare_postgres(server_folder / "half")

    assert (server_folder / "half" / "postgres" / "global" / "pg_control").is_file()
    assert not half_made.exists()


async def test_secrets_are_private_and_the_folders_above_stay_closed(
    running_nats: Nats, running_postgres: Postgres
) -> None:
    data = running_nats.data

    for name in ("secrets.json", "nats.conf", "ports.json", "run/nats.log", "run/postgres.log"):
        assert S_IMODE((data / name).stat().st_mode) == 0o600
    assert S_IMODE((data / "postgres").stat().st_mode) == 0o700
    for folder in (data, data.parent):
        assert S_IMODE(folder.stat().st_mode) & 0o066 == 0


def test_what_was_never_prepared_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no NATS server"):
        nats_at(tmp_path)
    with pytest.raises(Unavailable, match="no PostgreSQL server"):
        postgres_at(tmp_path)
