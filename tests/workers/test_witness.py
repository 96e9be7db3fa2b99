"""The witness on real servers: what it writes, how it goes on, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from nats.aio.client import Client

from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.nats_connection import connect
from adapters.storage.postgres import PostgresDatabase
from adapters.storage.signing import FileSigningKey
from adapters.storage.streams import LEDGER, provision
from commands.ports import Blobs, Damaged, Missing, Unavailable
from domain.merkle import consistency_path, root, verify_consistency
from tests.servers import NatsServer, PostgresServer
from tests.workers.witnessing import KEY, checkpoint_of, flip, means_of, verify, witness, write
from workers.witness import rows, worker
from workers.witness.archive import Archive
from workers.witness.notes import Checkpoint
from workers.witness.stream import Stored
from workers.witness.tiles import CHECKPOINT, PREFIX, Tiles
from workers.witness.worker import Means, recall

SOON_SECONDS = 20


@pytest.fixture
async def client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "witness") as client:
        await provision(client, "demo")
        yield client


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


@pytest.fixture
def blobs(tmp_path: Path) -> DirectoryBlobs:
    return DirectoryBlobs(tmp_path / "objects")


@pytest.fixture
def means(client: Client, blobs: Blobs, database: PostgresDatabase) -> Means:
    return means_of(client, blobs, database)


async def messages(means: Means) -> list[Stored]:
    head = await means.stream.head()
    return [message async for message in means.stream.read(1, head.sequence)]


async def archived(means: Means) -> list[Stored]:
    head = await means.stream.head()
    size = (await checkpoint_of(means)).size
    archive = Archive(means.blobs, head.ledger, means.key, size)
    return [message async for message in archive.read()]


async def kept_rows(means: Means) -> list[bytes]:
    async with means.database.acquire() as db:
        found = await rows.hashes(db, 1, 1_000_000)
    assert list(found) == list(range(1, len(found) + 1))
    return list(found.values())


async def all_is_kept(means: Means) -> None:
    """Once each, in order, in every place."""
    stored = await messages(means)
    entries = [message.hash for message in stored]
    assert await archived(means) == stored
    assert await kept_rows(means) == entries
    assert (await checkpoint_of(means)).root == root(entries)
    report = await verify(means)
    assert (report.whole, report.witnessed, report.findings) == (True, len(stored), ())


# What it writes


@pytest.mark.parametrize("events", [1, 255, 256, 257, 1300])
async def test_every_event_is_witnessed_once_in_every_place(
    means: Means, client: Client, events: int
) -> None:
    await write(client, events)
    await witness(means)
    await all_is_kept(means)


async def test_nothing_is_written_for_an_empty_ledger(means: Means) -> None:
    assert not await (await recall(means)).advance()
    assert [key async for key in means.blobs.keys(PREFIX)] == []


async def test_an_archived_message_is_all_that_the_stream_holds_of_it(
    means: Means, client: Client
) -> None:
    await write(client, 3)
    await witness(means)
    raw = await client.jetstream().get_msg(LEDGER, 2)
    message = (await archived(means))[1]
    assert (message.sequence, message.subject, message.payload) == (2, raw.subject, raw.data)
    assert message.id == (raw.headers or {})["Nats-Msg-Id"]


async def test_tiles_lie_where_and_as_the_standard_says(means: Means, client: Client) -> None:
    await write(client, 300)
    await witness(means)
    stored = await messages(means)
    leaves = [sha256(b"\x00" + sha256(m.payload).digest()).digest() for m in stored]
    bundle = b"".join(b"\x00\x20" + sha256(m.payload).digest() for m in stored)
    assert await means.blobs.get("witness/tile/0/000") == b"".join(leaves[:256])
    assert await means.blobs.get("witness/tile/0/001.p/44") == b"".join(leaves[256:])
    assert await means.blobs.get("witness/tile/entries/000") == bundle[: 256 * 34]
    assert await means.blobs.get("witness/tile/entries/001.p/44") == bundle[256 * 34 :]
    top = root(m.hash for m in stored[:256])
    assert await means.blobs.get("witness/tile/1/000.p/1") == top


async def test_partial_tiles_go_when_the_full_one_is_there(means: Means, client: Client) -> None:
    for events in (100, 100, 100):
        await write(client, events)
        await witness(means)
    partial = {key async for key in means.blobs.keys(PREFIX) if ".p/" in key}
    assert partial == {
        f"witness/{key}"
        for key in (
            "tile/0/001.p/44",
            "tile/entries/001.p/44",
            "tile/1/000.p/1",
            "archive/001.p/44",
            "archive/001.p/44.manifest",
        )
    }


async def test_a_later_checkpoint_is_proved_to_continue_each_earlier_one(
    means: Means, client: Client
) -> None:
    checkpoints: list[Checkpoint] = []
    for events in (1, 200, 56, 300, 700):
        await write(client, events)
        checkpoints.append(await witness(means))
    new = checkpoints[-1]
    tiles = Tiles(means.blobs, new.size)
    for old in checkpoints:
        proof = [await tiles.head(*each) for each in consistency_path(old.size, new.size)]
        assert verify_consistency(old.size, old.root, new.size, new.root, proof)


async def test_positions_of_durable_consumers_are_kept_for_a_repair(
    means: Means, client: Client
) -> None:
    subscription = await client.jetstream().pull_subscribe("ictus.ev.>", "reader", LEDGER)
    await write(client, 5)
    for message in await subscription.fetch(3):
        await message.ack_sync()
    await witness(means)
    async with means.database.acquire() as db:
        assert await rows.durables(db) == {"reader": 3}


# How it goes on


class Ends(Exception):
    """The process was killed here."""


class Fragile:
    """Objects of a process that is killed at its n-th write or deletion; the write may be done."""

    def __init__(self, blobs: Blobs, lives: int, done: bool) -> None:
        self._blobs, self._lives, self._done = blobs, lives, done
        self.get, self.exists, self.keys = blobs.get, blobs.exists, blobs.keys

    async def put(self, key: str, data: bytes) -> None:
        self._lives -= 1
        if self._lives > 0 or (self._lives == 0 and self._done):
            await self._blobs.put(key, data)
        if self._lives <= 0:
            raise Ends

    async def delete(self, key: str) -> None:
        self._lives -= 1
        if self._lives <= 0:
            raise Ends
        await self._blobs.delete(key)


@pytest.mark.parametrize("done", [False, True])
async def test_killed_at_any_write_it_loses_and_doubles_nothing(
    means: Means, client: Client, done: bool
) -> None:
    await write(client, 250)
    await witness(means)
    lives = 1
    for _ in range(30):
        await write(client, 7)
        fragile = Means(means.stream, Fragile(means.blobs, lives, done), means.database, means.key)
        try:
            await (await recall(fragile)).advance()
            lives = 1
        except Ends:
            lives += 1
        if lives % 3 == 0:
            await witness(means)
    await witness(means)
    await all_is_kept(means)


async def test_rows_that_were_lost_come_back_from_the_tiles(means: Means, client: Client) -> None:
    await write(client, 600)
    await witness(means)
    async with means.database.acquire() as db:
        await db.execute("DROP SCHEMA witness CASCADE")
    await write(client, 10)
    await witness(means)
    assert len(await kept_rows(means)) == 610
    assert (await verify(means)).whole


async def test_rows_restored_from_an_older_backup_are_filled_up(
    means: Means, client: Client
) -> None:
    await write(client, 600)
    await witness(means)
    async with means.database.acquire() as db:
        await db.execute("DELETE FROM witness.event WHERE sequence > 123")
        await db.execute("UPDATE witness.position SET sequence = 123")
    await witness(means)
    await all_is_kept(means)


async def test_two_witnesses_do_not_write_the_same_event_twice(
    means: Means, client: Client
) -> None:
    await write(client, 20)
    one, other = await recall(means), await recall(means)
    assert not await one.advance()
    with pytest.raises(Unavailable, match="another witness"):
        await other.advance()
    await all_is_kept(means)


async def test_it_follows_through_restarts_of_both_servers(
    means: Means,
    client: Client,
    nats_server: NatsServer,
    postgres_server: PostgresServer,
) -> None:
    running = asyncio.create_task(worker.run(means, pause_s=0.05))
    try:
        await write(client, 30)
        await until(means, 30)
        nats_server.kill()
        nats_server.restart()
        await write(client, 30)
        await until(means, 60)
        postgres_server.stop()
        await write(client, 30)
        postgres_server.restart()
        await until(means, 90)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    await all_is_kept(means)


async def until(means: Means, size: int) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        while True:
            try:
                async with means.database.acquire() as db:
                    at = await rows.position(db)
                if at and at.sequence >= size:
                    return
            except (Missing, Unavailable):
                pass
            await asyncio.sleep(0.05)


# What it refuses


async def test_another_ledger_on_the_same_objects_is_refused(means: Means, client: Client) -> None:
    await write(client, 5)
    await witness(means)
    old = (await means.stream.head()).ledger
    await client.jetstream().delete_stream(LEDGER)
    await provision(client, "demo")
    new = (await means.stream.head()).ledger
    with pytest.raises(Damaged, match=f"(?s){old}.*{new}"):
        await recall(means)


async def test_a_ledger_that_went_back_is_refused_and_raises_an_alarm(
    means: Means, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await write(client, 20)
    await witness(means)
    await rewrite(client, means, keep=12)
    with pytest.raises(Damaged, match="ends at sequence 12, and the witness saw it up to 20"):
        await worker.run(means)
    assert [each.levelname for each in caplog.records if "ALARM" in each.message] == ["CRITICAL"]


async def test_a_ledger_that_went_back_and_grew_again_is_refused(
    means: Means, client: Client
) -> None:
    await write(client, 20)
    running = await recall(means)
    await running.advance()
    await rewrite(client, means, keep=12)
    await write(client, 10)
    with pytest.raises(Damaged, match=r"event 20 hashed to [0-9a-f]{64} when the witness saw it"):
        await running.advance()
    with pytest.raises(Damaged, match=r"event 13 hashed to [0-9a-f]{64} when the witness saw it"):
        await recall(means)


async def rewrite(client: Client, means: Means, keep: int) -> None:
    """A store that was rolled back: the same ledger with only its first events."""
    stored = await messages(means)
    config = (await client.jetstream().stream_info(LEDGER)).config
    await client.jetstream().delete_stream(LEDGER)
    await client.jetstream().add_stream(config)
    for message in stored[:keep]:
        headers = {"Nats-Msg-Id": message.id}
        await client.jetstream().publish(message.subject, message.payload, headers=headers)


async def test_a_checkpoint_of_another_key_is_refused(means: Means, client: Client) -> None:
    await write(client, 5)
    await witness(means)
    stranger = FileSigningKey(bytes(32))
    with pytest.raises(Damaged, match="not signed by"):
        await recall(Means(means.stream, means.blobs, means.database, stranger))


@pytest.mark.parametrize("at", [0, 20, -3])
async def test_a_changed_checkpoint_is_refused(means: Means, client: Client, at: int) -> None:
    await write(client, 5)
    await witness(means)
    await flip(means.blobs, CHECKPOINT, at)
    with pytest.raises(Damaged):
        await recall(means)


async def test_tiles_that_do_not_make_the_signed_head_are_refused(
    means: Means, client: Client
) -> None:
    await write(client, 5)
    await witness(means)
    await flip(means.blobs, "witness/tile/0/000.p/5", 70)
    with pytest.raises(Damaged, match="the witness signed the head"):
        await recall(means)


async def test_an_object_store_that_was_rolled_back_is_refused(
    means: Means, client: Client
) -> None:
    await write(client, 5)
    await witness(means)
    old = await means.blobs.get(CHECKPOINT)
    await write(client, 5)
    await witness(means)
    await means.blobs.put(CHECKPOINT, old)
    with pytest.raises(Damaged, match=r"go up to sequence 10, and its checkpoint .* to 5"):
        await recall(means)


async def test_rows_of_another_ledger_are_refused(means: Means, client: Client) -> None:
    await write(client, 5)
    async with means.database.acquire() as db, db.transaction():
        await rows.create(db, uuid4())
    with pytest.raises(Damaged, match="rows are of ledger"):
        await recall(means)


def test_the_key_of_the_tests_signs() -> None:
    assert KEY.verify(KEY.sign(b"text"), b"text")
    assert not KEY.verify(KEY.sign(b"text"), b"other")
