"""`ictus audit repair` and `restore` on real servers: the ledger comes back as it was."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from shutil import copytree, rmtree
from uuid import uuid4

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.messages import JetStreamMessages
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.queue import JetStreamQueue
from adapters.storage.streams import (
    KEYS_BUCKET,
    LEDGER,
    STREAMS,
    Unfit,
    check_durability,
    provision,
)
from adapters.storage.users import ADMIN
from benchmarks.faulty.cluster import prepare_cluster
from commands.ports import Damaged
from ictus.embedded import Nats
from ictus.nkeys import nkey_file
from ictus.repair import (
    repair_ledger,
    restore_ledger,
    served,
    store,
)
from ictus.repaired import DURABLE_SUBJECTS, Outcome
from ictus.settings import BlobSettings, NatsSettings, PostgresSettings, Settings, environment
from ictus.supervisor import AlreadyRunning, Supervisor
from projections import PROJECTIONS, runner
from tests.contracts.swift import ACCESS_KEY, REGION, SECRET_KEY, Swift
from tests.contracts.writing import commit_to, new_request
from tests.givens import Given
from tests.production import Production
from tests.servers import cluster_of
from tests.workers.witnessing import KEY, flip, flipped, means_of, verify, witness, write
from workers.witness.notes import verifier_key
from workers.witness.stream import Stored
from workers.witness.tiles import CHECKPOINT
from workers.witness.worker import Means

CALL_SECONDS_MAX = 60
KEY_SUBJECT = f"$KV.{KEYS_BUCKET}.demo"


@pytest.fixture
def settings(server_folder: Path, fresh_database: str, tmp_path: Path) -> Settings:
    """A data directory of its own, whose embedded nats-server is not running."""
    (tmp_path / "witness").mkdir()
    (tmp_path / "witness" / "signing.key").write_bytes(bytes(range(32)))
    (tmp_path / "witness" / "signing.key").chmod(0o600)
    return Settings(data=str(tmp_path), origin="demo", postgres=PostgresSettings(fresh_database))


def objects(settings: Settings) -> DirectoryBlobs:
    return DirectoryBlobs(Path(settings.blobs_url))


def means(settings: Settings, client: Client, database: PostgresDatabase) -> Means:
    return means_of(client, objects(settings), database)


async def messages(client: Client) -> list[Stored]:
    stream = JetStreamMessages(client)
    return [each async for each in stream.read(1, (await stream.head()).sequence)]


async def acknowledge(client: Client, durable: str, count: int) -> int:
    """The next deliveries of a durable; returns the last sequence."""
    work = JetStreamQueue(client).consume(LEDGER, durable, DURABLE_SUBJECTS[durable])
    async with aclosing(work) as deliveries:  # type: ignore[type-var]
        async for delivery in deliveries:
            await delivery.ack()
            count -= 1
            if not count:
                return delivery.sequence
    raise AssertionError


@pytest.fixture
async def ledger(settings: Settings) -> list[Stored]:
    """700 events and some cases, read by a durable and a projection, all witnessed."""
    async with (
        served(settings.folder) as client,
        PostgresDatabase(settings.postgres.dsn) as database,
    ):
        await provision(client, "demo")
        await client.jetstream().publish(KEY_SUBJECT, b"a wrapped key")
        await write(client, 700)
        await Given(JetStreamLedger(client)).ward()
        await acknowledge(client, "ingest", 2)
        inbox = PROJECTIONS["inbox"]
        await runner.rebuild(inbox, JetStreamLedger(client), database, lambda at, head: None)
        await witness(means(settings, client, database))
        return await messages(client)


async def restored(settings: Settings) -> list[Stored]:
    async with served(settings.folder) as client:
        return await messages(client)


# Damage


def msgs(settings: Settings) -> Path:
    return store(settings.folder) / LEDGER / "msgs"


def block(settings: Settings) -> Path:
    (found,) = msgs(settings).glob("*.blk")
    return found


def flip_a_bit(settings: Settings) -> None:
    data = block(settings).read_bytes()
    block(settings).write_bytes(flipped(data, len(data) // 2))


def flip_a_bit_and_lose_the_index(settings: Settings) -> None:
    flip_a_bit(settings)
    (msgs(settings) / "index.db").unlink()


def truncate(settings: Settings) -> None:
    with block(settings).open("r+b") as file:
        file.truncate(block(settings).stat().st_size * 2 // 3)


def delete_the_block(settings: Settings) -> None:
    block(settings).unlink()


def lose_the_stream(settings: Settings) -> None:
    rmtree(store(settings.folder) / LEDGER)


def spoil_the_stream_s_own_description(settings: Settings) -> None:
    path = store(settings.folder) / LEDGER / "meta.inf"
    path.write_bytes(flipped(path.read_bytes(), 100))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_bit,
        flip_a_bit_and_lose_the_index,
        truncate,
        delete_the_block,
        lose_the_stream,
        spoil_the_stream_s_own_description,
    ],
)
async def test_a_damaged_ledger_comes_back_as_it_was(
    settings: Settings, ledger: list[Stored], damage: Callable[[Settings], None]
) -> None:
    damage(settings)
    outcome = await repair_ledger(settings, KEY)
    assert (outcome.whole, outcome.events, outcome.lost) == (True, len(ledger), None)
    assert outcome.before[0].where == "stream"
    assert outcome.damaged.startswith(str(settings.folder / "damaged"))
    assert await restored(settings) == ledger
    assert (await repair_ledger(settings, KEY)).damaged == ""


async def test_readers_writers_and_keys_go_on_after_a_repair(
    settings: Settings, ledger: list[Stored]
) -> None:
    flip_a_bit_and_lose_the_index(settings)
    outcome = await repair_ledger(settings, KEY)
    async with (
        served(settings.folder) as client,
        PostgresDatabase(settings.postgres.dsn) as database,
    ):
        key = await client.jetstream().get_last_msg(f"KV_{KEYS_BUCKET}", KEY_SUBJECT)
        assert key.data == b"a wrapped key"
        assert await acknowledge(client, "ingest", 1) > outcome.durables["ingest"] > 700
        book = JetStreamLedger(client)
        head = (await book.head()).sequence
        (one, *_) = [each async for each in book.read()]
        history = await book.load("person", one.aggregate_id)
        more = commit_to(one.aggregate_id, "after the repair", after=history[-1])
        assert await book.append(new_request(), [more]) == head + 1
        (status,) = await runner.status(database, book)
        assert (status.sequence, status.behind) == (head, 1)
        assert await runner_reaches(book, database, head + 1)
        await witness(means(settings, client, database))
        assert (await verify(means(settings, client, database))).whole


async def runner_reaches(book: JetStreamLedger, database: PostgresDatabase, sequence: int) -> bool:
    async with aclosing(runner._follow(PROJECTIONS["inbox"], book, database)) as commits:
        async for cursor in commits:
            if cursor.sequence >= sequence:
                return True
    return False


async def rolled_back(settings: Settings, copy: Path) -> list[Stored]:
    """The server's folder becomes what it was 50 witnessed events ago; what it held before."""
    copytree(settings.folder / "nats", copy)
    async with (
        served(settings.folder) as client,
        PostgresDatabase(settings.postgres.dsn) as database,
    ):
        await write(client, 50)
        await witness(means(settings, client, database))
        newer = await messages(client)
    rmtree(settings.folder / "nats")
    copytree(copy, settings.folder / "nats")
    return newer


async def test_a_ledger_rolled_back_to_an_older_copy_comes_back(
    settings: Settings, ledger: list[Stored], tmp_path: Path
) -> None:
    newer = await rolled_back(settings, tmp_path / "older")
    assert (await repair_ledger(settings, KEY)).whole
    assert await restored(settings) == newer


async def test_a_rolled_back_ledger_that_went_on_otherwise_is_named(
    settings: Settings, ledger: list[Stored], tmp_path: Path
) -> None:
    newer = await rolled_back(settings, tmp_path / "older")
    async with served(settings.folder) as client:
        await write(client, 60)
    outcome = await repair_ledger(settings, KEY)
    head = len(ledger)
    assert (outcome.whole, outcome.forked) == (False, head + 1)
    assert outcome.lost == (head + 1, head + 60)
    assert await restored(settings) == newer


async def test_what_was_not_witnessed_yet_is_taken_from_the_damaged_store(
    settings: Settings, ledger: list[Stored]
) -> None:
    async with served(settings.folder) as client:
        await write(client, 20)
        longer = await messages(client)
    data = block(settings).read_bytes()
    block(settings).write_bytes(flipped(data, data.index(longer[9].payload)))
    outcome = await repair_ledger(settings, KEY)
    assert (outcome.whole, outcome.tail) == (True, 20)
    assert await restored(settings) == longer


async def test_what_is_in_no_place_is_named_and_never_guessed(
    settings: Settings, ledger: list[Stored]
) -> None:
    async with served(settings.folder) as client:
        await write(client, 20)
        longer = await messages(client)
    data = block(settings).read_bytes()
    lost = longer[-10]
    block(settings).write_bytes(flipped(data, data.index(lost.payload)))
    outcome = await repair_ledger(settings, KEY)
    assert (outcome.whole, outcome.tail) == (False, 10)
    assert outcome.lost == (lost.sequence, len(longer))
    assert await restored(settings) == longer[:-10]


# Refusals


async def test_a_running_stack_is_not_repaired(settings: Settings, ledger: list[Stored]) -> None:
    async with Supervisor(settings.folder / "run"):
        with pytest.raises(AlreadyRunning):
            await repair_ledger(settings, KEY)
        assert ictus(settings, "audit", "repair").returncode == 5


def block_kept(settings: Settings) -> bytes:
    """As it lay there before any server opened it."""
    (kept,) = settings.folder.glob(f"damaged/*/{LEDGER}/msgs/*.blk")
    return kept.read_bytes()


async def test_an_archive_that_was_rolled_back_is_not_restored(
    settings: Settings, ledger: list[Stored]
) -> None:
    old = await objects(settings).get(CHECKPOINT)
    async with (
        served(settings.folder) as client,
        PostgresDatabase(settings.postgres.dsn) as database,
    ):
        await write(client, 10)
        await witness(means(settings, client, database))
    await objects(settings).put(CHECKPOINT, old)
    truncate(settings)
    with pytest.raises(Damaged, match=r"rolled back|is gone"):
        await repair_ledger(settings, KEY)


@pytest.mark.parametrize("key", ["archive/000", "archive/001.manifest", "checkpoint"])
async def test_nothing_is_restored_from_a_damaged_archive(
    settings: Settings, ledger: list[Stored], key: str
) -> None:
    truncate(settings)
    await flip(objects(settings), f"witness/{key}", 60)
    before = block(settings).read_bytes()
    with pytest.raises(Damaged, match=r"archive|manifest|signed|note|checkpoint"):
        await repair_ledger(settings, KEY)
    assert block_kept(settings) == before
    assert ictus(settings, "audit", "repair").returncode == 4


# The command line, and the drill


def ictus(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ictus", *words],
        env=environment(settings) | {"PATH": os.environ["PATH"], "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS_MAX,
    )


async def test_the_command_repairs_and_says_what_it_did(
    settings: Settings, ledger: list[Stored]
) -> None:
    truncate(settings)
    done = ictus(settings, "audit", "repair", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["whole"], outcome["events"]) == (True, len(ledger))
    again = ictus(settings, "audit", "repair")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, "whole")


async def test_an_empty_server_gets_the_identical_ledger(
    settings: Settings, ledger: list[Stored], tmp_path: Path
) -> None:
    rmtree(settings.folder / "nats")
    outcome = await restore_ledger(settings, settings.blobs_url, KEY)
    assert (outcome.whole, outcome.events) == (True, len(ledger))
    assert await restored(settings) == ledger
    with pytest.raises(Unfit):
        await restore_ledger(settings, settings.blobs_url, KEY)
    async with (
        served(settings.folder) as client,
        PostgresDatabase(settings.postgres.dsn) as database,
    ):
        assert (await verify(means(settings, client, database))).whole


async def test_the_drill_needs_the_witness_s_objects_and_key_alone(
    settings: Settings, ledger: list[Stored], tmp_path: Path
) -> None:
    elsewhere = Settings(data=str(tmp_path / "elsewhere"), postgres=settings.postgres)
    async with PostgresDatabase(settings.postgres.dsn) as database, database.acquire() as db:
        await db.execute("DROP SCHEMA witness CASCADE; DROP SCHEMA projection CASCADE")
    outcome = await restore_ledger(elsewhere, settings.blobs_url, KEY)
    assert outcome == Outcome(
        whole=True,
        ledger=outcome.ledger,
        events=len(ledger),
        archived=len(ledger),
        emptied=(f"KV_{KEYS_BUCKET}",),
        durables=dict.fromkeys(DURABLE_SUBJECTS, len(ledger)),
    )
    assert await restored(elsewhere) == ledger


async def test_objects_on_s3_become_the_ledger_of_an_empty_cluster(
    settings: Settings, ledger: list[Stored], swift: Swift, cluster: list[Nats], tmp_path: Path
) -> None:
    """The drill, and the way from one replica to three."""
    bucket, key = "s3://witness/of-the-ward", verifier_key("witness", KEY.public)
    at_s3 = replace(
        settings,
        data=str(tmp_path / "elsewhere"),
        blobs=BlobSettings(bucket, swift.endpoint, ACCESS_KEY, SECRET_KEY, REGION, secure=False),
        nats=NatsSettings(
            url=cluster[0].url,
            monitor_url=",".join(node.monitor_url for node in cluster),
            replicas=len(cluster),
        ),
    )
    copies = swift.blobs(bucket)
    async for name in objects(settings).keys("witness/"):
        await copies.put(name, await objects(settings).get(name))

    done = ictus(at_s3, "audit", "restore", "--from", bucket, "--key", key, "--json")

    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["whole"], outcome["events"]) == (True, len(ledger))
    again = ictus(at_s3, "audit", "restore", "--from", bucket, "--key", key)
    assert (again.returncode, again.stderr.count("There is a ledger")) == (5, 1)
    async with await connect(cluster[1].url, "reader") as client:
        assert await messages(client) == ledger
        await check_durability(client, at_s3.nats.monitor_url)
        await provision(client, "demo", replicas=3)
        assert await JetStreamLedger(client).append(new_request(), [commit_to(uuid4(), "on")])


async def test_the_admin_restores_into_the_production_stack_beside_the_keys_that_are_back(
    settings: Settings, ledger: list[Stored], production: Production
) -> None:
    given = replace(production.settings, postgres=settings.postgres)
    nkey = str(nkey_file(production.nkeys, ADMIN))
    as_admin = replace(given, nats=replace(given.nats, nkey=nkey))
    words = ("audit", "restore", "--from", settings.blobs_url)
    key = ("--key", verifier_key("witness", KEY.public), "--json")
    (bucket,) = (stream for stream in STREAMS if stream.name == f"KV_{KEYS_BUCKET}")
    async with await connect(given.nats.url, ADMIN, production.key(ADMIN)) as client:
        await client.jetstream().add_stream(bucket)
        await client.jetstream().publish(KEY_SUBJECT, b"a wrapped key")

    done = ictus(as_admin, *words, *key)

    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["whole"], outcome["events"], outcome["emptied"]) == (True, len(ledger), [])
    async with await connect(given.nats.url, "witness", production.key("witness")) as client:
        assert await messages(client) == ledger
    again = ictus(given, *words, *key)
    assert (again.returncode, again.stderr.count("There is a ledger")) == (5, 1)


@pytest.fixture
def production(tmp_path: Path) -> Iterator[Production]:
    server = Production(tmp_path / "production")
    server.restart()
    yield server
    server.stop()


@pytest.fixture
def swift(server_folder: Path, tmp_path: Path) -> Iterator[Swift]:
    swift = Swift(tmp_path / "swift")
    swift.start()
    yield swift
    swift.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Nats]]:
    """Three empty nodes."""
    nodes = prepare_cluster(tmp_path / "cluster")
    with cluster_of(nodes):
        yield nodes
