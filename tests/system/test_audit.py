"""`ictus audit …` beside a real witness process that is killed and started again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

import verify
from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.streams import LEDGER
from adapters.storage.users import STREAMS_ACCOUNT
from ictus.embedded import prepare_nats
from ictus.settings import NatsSettings, PostgresSettings, Settings, environment
from ictus.wiring import House, furnish, open_house
from tests.givens import Given
from tests.servers import NatsServer
from tests.system.stack import eventually
from tests.workers.witnessing import flip, flipped, write
from workers.witness import rows

CALL_SECONDS_MAX = 60


@pytest.fixture
def own_nats(server_folder: Path, tmp_path: Path) -> Iterator[NatsServer]:
    """A server whose files a test may spoil."""
    server = NatsServer(prepare_nats(tmp_path / "nats"))
    server.restart()
    yield server
    server.stop()


@pytest.fixture
def settings(own_nats: NatsServer, fresh_database: str, tmp_path: Path) -> Settings:
    return Settings(
        data=str(tmp_path / "data"),
        origin="demo",
        nats=NatsSettings(own_nats.url, own_nats.monitor_url),
        postgres=PostgresSettings(fresh_database),
    )


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with open_house(settings, "audit-tests") as house:
        await furnish(house)
        yield house


@pytest.fixture
async def cases(house: House) -> list[UUID]:
    """Six cases among 400 events."""
    await write(house.client, 300)
    return await Given(house.books.ledger).ward()


def ictus(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ictus", *words],
        env=called(settings),
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS_MAX,
    )


def report(settings: Settings) -> tuple[int, dict[str, Any]]:
    done = ictus(settings, "audit", "verify", "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def offline(proof: Path, key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", verify.__file__, str(proof), "--key", key],
        capture_output=True,
        text=True,
    )


@contextmanager
def witness_process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """`ictus run witness`, killed at the end like a machine that loses power."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ictus", "run", "witness"],
        env=called(settings),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def called(settings: Settings) -> dict[str, str]:
    return environment(settings) | {"PATH": os.environ["PATH"], "COLUMNS": "200"}


async def witnessed(house: House) -> int:
    """Waits until the witness has all there is."""
    head = (await house.books.ledger.head()).sequence

    async def reached() -> int | None:
        async with house.database.acquire() as db:
            at = await rows.position(db)
        return head if at and at.sequence >= head else None

    return await eventually(reached, f"the witness to reach {head}")


async def test_a_witness_killed_again_and_again_has_everything_once(
    settings: Settings, house: House, cases: list[UUID]
) -> None:
    for pause_s in (0.8, 1.0, 1.2, 1.4):
        with witness_process(settings):
            for _ in range(10):
                await write(house.client, 40)
                await asyncio.sleep(pause_s / 10)
    with witness_process(settings):
        size = await witnessed(house)
    code, told = report(settings)
    assert (code, told["whole"], told["witnessed"], told["unwitnessed"]) == (0, True, size, 0)
    assert told["durability"] == "synced before acknowledged"
    key_file = settings.folder / "witness" / "signing.key"
    assert key_file.stat().st_mode & 0o777 == 0o600


async def test_a_proof_is_written_and_checked_offline(
    settings: Settings, house: House, cases: list[UUID], tmp_path: Path
) -> None:
    with witness_process(settings):
        await witnessed(house)
    out = tmp_path / "proof.json"
    done = ictus(settings, "audit", "proof", str(cases[2]), "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    _, told = report(settings)
    checked = offline(out, told["key"])
    assert checked.returncode == 0, checked.stdout
    events = len(await house.books.ledger.load("case", cases[2]))
    assert f"{events} events of this case" in checked.stdout
    assert json.loads(done.stdout) == {"case": str(cases[2]), "events": events, "pending": 0}


async def test_a_case_that_is_not_there_has_no_proof(
    settings: Settings, house: House, tmp_path: Path
) -> None:
    out = tmp_path / "proof.json"
    done = ictus(settings, "audit", "proof", str(UUID(int=1)), "-o", str(out))
    assert done.returncode == 3
    assert not out.exists()


async def test_without_the_key_nothing_is_verified_and_none_is_made(
    settings: Settings, house: House
) -> None:
    done = ictus(settings, "audit", "verify")
    assert done.returncode == 3
    assert "--key" in done.stderr
    assert not (settings.folder / "witness").exists()
    assert ictus(settings, "audit", "verify", "--key", "nonsense").returncode == 2


async def test_an_auditor_with_the_public_key_alone_verifies(
    settings: Settings, house: House, cases: list[UUID]
) -> None:
    with witness_process(settings):
        await witnessed(house)
    _, told = report(settings)
    (settings.folder / "witness" / "signing.key").unlink()
    assert ictus(settings, "audit", "verify", "--key", told["key"]).returncode == 0


async def test_durability_that_is_not_proved_is_said_loudly(
    settings: Settings, house: House, cases: list[UUID]
) -> None:
    with witness_process(settings):
        await witnessed(house)
    doubtful = replace(settings, nats=NatsSettings(settings.nats.url))
    done = ictus(doubtful, "audit", "verify")
    assert done.returncode == 0
    assert "UNSAFE DURABILITY" in done.stderr


async def test_a_ledger_that_is_gone_altogether_exits_4_if_it_was_witnessed(
    settings: Settings, house: House, cases: list[UUID]
) -> None:
    stream = house.client.jetstream()
    with witness_process(settings):
        count = await witnessed(house)
    await stream.delete_stream(LEDGER)

    code, told = report(settings)

    assert (code, told["witnessed"], told["whole"]) == (4, count, False)
    assert [(each["where"], each["sequence"]) for each in told["findings"]] == [("stream", 1)]
    assert "audit repair" in ictus(settings, "audit", "verify").stderr
    async with house.database.acquire() as db:
        await db.execute("DROP SCHEMA witness CASCADE")
    assert ictus(settings, "audit", "verify").returncode == 6


# One flipped byte

Damage = Callable[[House, NatsServer], Awaitable[None]]


async def in_stream(house: House, server: NatsServer) -> None:
    (found,) = [r async for r in house.books.ledger.read(290) if r.sequence == 291]
    server.stop()
    folder = server.data / "nats" / "jetstream" / STREAMS_ACCOUNT / "streams" / LEDGER / "msgs"
    (block,) = folder.glob("*.blk")
    data = block.read_bytes()
    block.write_bytes(flipped(data, data.index(found.payload) + 100))
    server.restart()


async def in_archive(house: House, server: NatsServer) -> None:
    await flip(house.blobs, "witness/archive/000", 500)


async def in_rows(house: House, server: NatsServer) -> None:
    async with house.database.acquire() as db:
        await db.execute(
            "UPDATE witness.event SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)"
            " WHERE sequence = 5"
        )


async def in_tiles(house: House, server: NatsServer) -> None:
    await flip(house.blobs, "witness/tile/0/000", 32 * 8)


async def in_heads(house: House, server: NatsServer) -> None:
    await flip(house.blobs, "witness/checkpoint", -10)


@pytest.mark.parametrize(
    ("damage", "where", "sequence"),
    [
        (in_stream, "stream", 291),
        (in_archive, "archive", 1),
        (in_rows, "postgres", 5),
        (in_tiles, "tiles", 9),
        (in_heads, "heads", 1),
    ],
)
async def test_one_flipped_byte_exits_4_and_is_named(
    settings: Settings,
    house: House,
    cases: list[UUID],
    own_nats: NatsServer,
    damage: Damage,
    where: str,
    sequence: int,
) -> None:
    with witness_process(settings):
        await witnessed(house)
    assert isinstance(house.blobs, DirectoryBlobs)
    await damage(house, own_nats)

    code, told = report(settings)
    assert code == 4
    found = [(each["where"], each["sequence"]) for each in told["findings"]]
    assert found == [(where, sequence)]

    shown = ictus(settings, "audit", "verify")
    assert shown.returncode == 4
    assert "DAMAGED" in shown.stdout
    assert where in shown.stdout


async def test_a_witness_that_meets_another_history_stops_with_an_alarm(
    settings: Settings, house: House, cases: list[UUID], own_nats: NatsServer
) -> None:
    with witness_process(settings):
        await witnessed(house)
    last = (await house.books.ledger.head()).sequence
    (found,) = [r async for r in house.books.ledger.read(last - 1)]
    own_nats.stop()
    folder = own_nats.data / "nats" / "jetstream" / STREAMS_ACCOUNT / "streams" / LEDGER / "msgs"
    (block,) = folder.glob("*.blk")
    data = block.read_bytes()
    block.write_bytes(flipped(data, data.index(found.payload) + 100))
    own_nats.restart()

    done = await asyncio.to_thread(ictus, settings, "run", "witness")
    assert done.returncode == 4
    alarms = [line for line in done.stderr.splitlines() if "ALARM" in line]
    assert str(last) in alarms[0]
