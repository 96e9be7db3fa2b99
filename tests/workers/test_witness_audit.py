"""`verify` on real servers: one flipped byte anywhere is found, and the place and sequence named."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.streams import LEDGER, provision
from adapters.storage.users import STREAMS_ACCOUNT
from ictus.embedded import prepare_nats
from tests.servers import NatsServer
from tests.workers.witnessing import (
    checkpoint_of,
    flip,
    flipped,
    means_of,
    places,
    verify,
    witness,
    write,
)
from workers.witness.notes import Checkpoint, log_name, sign
from workers.witness.tiles import CHECKPOINT, PREFIX
from workers.witness.worker import Means

EVENTS = 600


@pytest.fixture
def own_nats(server_folder: Path, tmp_path: Path) -> Iterator[NatsServer]:
    """A server whose files a test may spoil."""
    server = NatsServer(prepare_nats(tmp_path / "nats"))
    server.restart()
    yield server
    server.stop()


@pytest.fixture
async def client(own_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(own_nats.url, "audit") as client:
        await provision(client, "demo")
        yield client


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


@pytest.fixture
async def means(client: Client, database: PostgresDatabase, tmp_path: Path) -> Means:
    """600 events, all witnessed."""
    means = means_of(client, DirectoryBlobs(tmp_path / "objects"), database)
    await write(client, EVENTS)
    await witness(means)
    return means


def store(server: NatsServer) -> Path:
    return server.data / "nats" / "jetstream" / STREAMS_ACCOUNT / "streams" / LEDGER / "msgs"


def spoil(server: NatsServer, payload: bytes, *, index_too: bool) -> None:
    """Flips a byte of this payload in the files of the server, which is stopped meanwhile."""
    server.stop()
    (block,) = store(server).glob("*.blk")
    data = block.read_bytes()
    assert data.count(payload) == 1
    block.write_bytes(flipped(data, data.index(payload) + len(payload) // 2))
    if index_too:
        (store(server) / "index.db").unlink()
    server.restart()


async def payload(means: Means, sequence: int) -> bytes:
    (found,) = [each async for each in means.stream.read(sequence, sequence)]
    return found.payload


# Whole


async def test_what_is_whole_is_said_to_be_whole(means: Means) -> None:
    report = await verify(means)
    assert report.whole
    assert (report.witnessed, report.head, report.unwitnessed) == (EVENTS, EVENTS, 0)
    assert report.root == (await checkpoint_of(means)).root.hex()
    assert report.key.startswith(f"ictus/{report.ledger}+")


async def test_a_tail_that_is_not_witnessed_yet_is_named_and_no_damage(
    means: Means, client: Client
) -> None:
    await write(client, 7)
    report = await verify(means)
    assert report.whole
    assert (report.witnessed, report.head, report.unwitnessed) == (EVENTS, EVENTS + 7, 7)


async def test_nothing_witnessed_and_nothing_written_is_whole(
    client: Client, database: PostgresDatabase, tmp_path: Path
) -> None:
    means = means_of(client, DirectoryBlobs(tmp_path / "objects"), database)
    await write(client, 3)
    report = await verify(means)
    assert (report.whole, report.witnessed, report.unwitnessed) == (True, 0, 3)


# The stream


@pytest.mark.parametrize("sequence", [1, 300, EVENTS])
async def test_one_flipped_byte_in_the_files_of_the_stream_is_found(
    means: Means, own_nats: NatsServer, sequence: int
) -> None:
    spoil(own_nats, await payload(means, sequence), index_too=False)
    report = await verify(means)
    (finding,) = report.findings
    assert (finding.where, finding.sequence) == ("stream", sequence)
    assert finding.what == "missing"


async def test_a_stream_that_the_server_cut_off_when_it_rebuilt_its_index_is_found(
    means: Means, own_nats: NatsServer
) -> None:
    spoil(own_nats, await payload(means, 300), index_too=True)
    report = await verify(means)
    assert [(each.where, each.sequence) for each in report.findings] == [("stream", 300)]
    assert report.head < EVENTS


async def test_a_gap_in_the_tail_that_was_not_witnessed_is_found(
    means: Means, client: Client, own_nats: NatsServer
) -> None:
    await write(client, 7)
    spoil(own_nats, await payload(means, EVENTS + 4), index_too=False)
    report = await verify(means)
    (finding,) = report.findings
    assert (finding.where, finding.sequence) == ("stream", EVENTS + 4)
    assert "not witnessed yet" in finding.what


async def test_a_stream_whose_history_was_rewritten_is_found(means: Means, client: Client) -> None:
    """As an administrator could: every message is there, one of them another one."""
    stored = [each async for each in means.stream.read(1, EVENTS)]
    stored[418] = stored[418]._replace(payload=stored[418].payload.replace(b'"en"', b'"ru"'))
    config: StreamConfig = (await client.jetstream().stream_info(LEDGER)).config
    await client.jetstream().delete_stream(LEDGER)
    await client.jetstream().add_stream(config)
    for each in stored:
        headers = {"Nats-Msg-Id": each.id}
        await client.jetstream().publish(each.subject, each.payload, headers=headers)
    assert await places(means) == [("stream", 419)]


async def test_an_event_stored_as_another_one_is_found(means: Means, client: Client) -> None:
    (first,) = [each async for each in means.stream.read(1, 1)]
    await client.jetstream().publish(
        first.subject.replace("consented", "joined"), first.payload, headers={"Nats-Msg-Id": "x"}
    )
    report = await verify(means)
    (finding,) = report.findings
    assert (finding.where, finding.sequence) == ("stream", EVENTS + 1)


# The witness's own records


@pytest.mark.parametrize(
    ("key", "at", "found"),
    [
        ("archive/000", 100, ("archive", 1)),
        ("archive/001", -1, ("archive", 257)),
        ("archive/002.p/88", 0, ("archive", 513)),
        ("archive/001.manifest", 60, ("archive", 257)),
        ("archive/002.p/88.manifest", -4, ("archive", 513)),
        ("tile/0/000", 32 * 9 + 5, ("tiles", 10)),
        ("tile/0/002.p/88", 0, ("tiles", 513)),
        ("tile/1/000.p/2", 32, ("tiles", 257)),
        ("tile/entries/000", 34 * 99, ("tiles", 1)),
        ("tile/entries/001", 34 * 99 + 2, ("tiles", 356)),
        ("checkpoint", 0, ("heads", 1)),
        ("checkpoint", 60, ("heads", 1)),
        ("checkpoint", -2, ("heads", 1)),
        ("checkpoint", -6, ("heads", 1)),
    ],
)
async def test_one_flipped_byte_in_an_object_is_found(
    means: Means, key: str, at: int, found: tuple[str, int]
) -> None:
    await flip(means.blobs, f"witness/{key}", at)
    assert await places(means) == [found]


async def test_any_bit_of_any_object_may_flip_and_is_found(means: Means) -> None:
    chance = Random(7)
    keys = [key async for key in means.blobs.keys(PREFIX)]
    for key in chance.choices(keys, k=2 * len(keys)):
        data = await means.blobs.get(key)
        await means.blobs.put(key, flipped(data, chance.randrange(len(data)), chance.randrange(8)))
        assert not (await verify(means)).whole, key
        await means.blobs.put(key, data)
    assert (await verify(means)).whole


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("archive/000", ("archive", 1)),
        ("archive/002.p/88.manifest", ("archive", 513)),
        ("tile/0/001", ("tiles", 257)),
        ("tile/1/000.p/2", ("tiles", 1)),
        ("checkpoint", ("heads", 1)),
    ],
)
async def test_an_object_that_is_gone_is_found(
    means: Means, key: str, found: tuple[str, int]
) -> None:
    await means.blobs.delete(f"witness/{key}")
    assert await places(means) == [found]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE witness.event SET hash = set_byte(hash, 7, get_byte(hash, 7) # 1)"
            " WHERE sequence = 431",
            ("postgres", 431),
        ),
        ("DELETE FROM witness.event WHERE sequence = 2", ("postgres", 2)),
        ("DROP SCHEMA witness CASCADE", ("postgres", 1)),
        (
            "UPDATE witness.head SET note = set_byte(note, 60, get_byte(note, 60) # 1)",
            ("heads", 600),
        ),
    ],
)
async def test_a_changed_row_is_found(means: Means, statement: str, found: tuple[str, int]) -> None:
    async with means.database.acquire() as db:
        await db.execute(statement)
    assert await places(means) == [found]


async def test_every_damaged_place_is_named(means: Means, own_nats: NatsServer) -> None:
    await flip(means.blobs, "witness/archive/001", 50)
    await flip(means.blobs, "witness/checkpoint", 60)
    async with means.database.acquire() as db:
        await db.execute("DELETE FROM witness.event WHERE sequence = 77")
    spoil(own_nats, await payload(means, 300), index_too=False)
    assert await places(means) == [
        ("heads", 1),
        ("postgres", 77),
        ("archive", 257),
        ("stream", 300),
    ]


async def test_a_checkpoint_that_was_rolled_back_is_found(means: Means, client: Client) -> None:
    old = await means.blobs.get(CHECKPOINT)
    await write(client, 10)
    await witness(means)
    await means.blobs.put(CHECKPOINT, old)
    assert await places(means) == [("heads", EVENTS + 1)]


async def test_a_checkpoint_signed_over_another_history_is_found(means: Means) -> None:
    """The key was stolen: the signature holds, and no place has what it signs."""
    name = log_name((await means.stream.head()).ledger)
    forged = sign(Checkpoint(name, EVENTS, bytes(32)).text(), name, means.key)
    await means.blobs.put(CHECKPOINT, forged)
    assert await places(means) == [("heads", EVENTS)]
