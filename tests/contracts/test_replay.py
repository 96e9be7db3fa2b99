"""Reading the whole stream: what nats-py brings, whatever the reader's speed and the server's fate."""

import asyncio
import time
from contextlib import aclosing
from uuid import uuid4

import pytest
from nats.aio.client import Client

from adapters.storage import replay as replays
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.replay import replay
from adapters.storage.streams import LEDGER
from tests.contracts.writing import commit_to, followed, new_request
from tests.servers import NatsServer


async def filled(client: Client, events: int, size: int = 1) -> JetStreamLedger:
    ledger = JetStreamLedger(client)
    await ledger.append_many(
        (new_request(), commit_to(uuid4(), str(number) * size)) for number in range(events)
    )
    return ledger


async def test_a_replay_brings_what_nats_py_brings(nats_client: Client) -> None:
    await filled(nats_client, 2000)
    stream = nats_client.jetstream()
    expected = [(await stream.get_msg(LEDGER, number)).data for number in (1, 999, 2000)]

    seen: dict[int, bytes] = {}
    async with aclosing(replay(nats_client, LEDGER, 0)) as pieces:
        async for piece in pieces:
            seen.update(piece)
            if len(seen) == 2000:
                break

    assert list(seen) == list(range(1, 2001))
    assert [seen[number] for number in (1, 999, 2000)] == expected


@pytest.mark.parametrize(
    ("said", "settled", "ends"),
    [
        (b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", 1, False),
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n", 8, False),
        (b"NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 0\r\n\r\n", 1, False),
        (b"NATS/1.0 409 Consumer Deleted\r\n\r\n", 1, True),
    ],
    ids=["heartbeat", "timeout", "completed", "deleted"],
)
def test_a_status_settles_what_is_owed_or_ends_the_reading(
    said: bytes, settled: int, ends: bool
) -> None:
    assert replays._in_order([(5, b"e"), (0, said)], 5) == ([(5, b"e")], settled, ends)


async def test_a_slow_reader_is_sent_no_more_than_it_asked_for_and_loses_nothing(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = b"%d" % replays.ASKED_MESSAGES
    monkeypatch.setattr(replays, "ASKED_MESSAGES", 8)
    monkeypatch.setattr(replays, "WISH", replays.WISH.replace(asked, b"8"))
    await filled(nats_client, 200, size=1000)

    seen: list[int] = []
    async with aclosing(replay(nats_client, LEDGER, 0)) as pieces:
        async for piece in pieces:
            assert len(piece) <= 16
            seen += [sequence for sequence, _ in piece]
            time.sleep(0.002)  # noqa: ASYNC251  # a reader that holds the loop
            if len(seen) == 200:
                break

    assert seen == list(range(1, 201))


async def test_a_reader_whose_consumer_went_away_goes_on_with_another(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await filled(nats_client, 3)
    following = asyncio.create_task(followed(ledger, count=4))
    stream = nats_client.jetstream()
    await followed(ledger, count=3)
    for consumer in await stream.consumers_info(LEDGER):
        await stream.delete_consumer(LEDGER, consumer.name)

    await ledger.append(new_request(), [commit_to(uuid4(), "new")])

    assert [recorded.sequence for recorded in await following] == [1, 2, 3, 4]


async def test_a_reading_goes_on_after_the_server_was_killed(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    ledger = await filled(nats_client, 3000)
    seen: list[int] = []

    async for recorded in ledger.read():
        seen.append(recorded.sequence)
        if len(seen) == 100:
            fresh_nats.kill()
            fresh_nats.restart()

    assert seen == list(range(1, 3001))
