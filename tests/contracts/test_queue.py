"""What every queue and every set of slots must do, in memory and on a real NATS server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import NamedTuple
from uuid import uuid4

import pytest
from nats.aio.client import Client

from adapters.storage import nats_connection
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryLedger, MemoryQueue, MemorySlots
from adapters.storage.nats_connection import connect
from adapters.storage.queue import BucketSlots, JetStreamQueue
from adapters.storage.streams import INBOX, LEDGER, OUTBOX, SCHEDULE
from commands.ports import Ledger, Message, Queue, Slots, Unavailable
from domain.events import decode
from tests.contracts.lossy import LossyLine
from tests.contracts.writing import commit_to, event, new_request
from tests.servers import NatsServer

ACK_WAIT_S = 1.0


class Place(NamedTuple):
    ledger: Ledger
    queue: Queue


@pytest.fixture(params=["memory", "jetstream"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "memory":
        ledger = MemoryLedger()
        return Place(ledger, MemoryQueue(ledger, ACK_WAIT_S))
    client = request.getfixturevalue("nats_client")
    return Place(JetStreamLedger(client), JetStreamQueue(client, ACK_WAIT_S))


@pytest.fixture
def queue(place: Place) -> Queue:
    return place.queue


@pytest.fixture(params=["memory", "bucket"])
def slots(request: pytest.FixtureRequest) -> Slots:
    if request.param == "memory":
        return MemorySlots()
    return BucketSlots(request.getfixturevalue("nats_client"))


def deliveries(
    queue: Queue, stream: str = INBOX, subject: str = "ictus.in.>"
) -> AsyncIterator[Message]:
    return queue.consume(stream, "worker", [subject])


async def acknowledged(
    queue: Queue, count: int, stream: str = INBOX, subject: str = "ictus.in.>"
) -> list[bytes]:
    """The data of the next deliveries, each acknowledged."""
    seen: list[bytes] = []
    async with aclosing(deliveries(queue, stream, subject)) as messages:
        async for message in messages:
            seen.append(message.data)
            await message.ack()
            if len(seen) == count:
                break
    return seen


async def test_work_is_delivered_in_order_with_its_subject(queue: Queue) -> None:
    for number in range(3):
        await queue.publish(f"ictus.in.telegram.{number}", b"%d" % number, message_id=str(number))

    seen = []
    async with aclosing(deliveries(queue)) as messages:
        async for message in messages:
            seen.append((message.sequence, message.subject, message.data))
            await message.ack()
            if len(seen) == 3:
                break

    assert seen == [(n + 1, f"ictus.in.telegram.{n}", b"%d" % n) for n in range(3)]


async def test_work_that_comes_later_is_delivered_too(queue: Queue) -> None:
    waiting = asyncio.create_task(acknowledged(queue, 1))
    await asyncio.sleep(0.1)

    await queue.publish("ictus.in.telegram.1", b"late", message_id="1")

    assert await waiting == [b"late"]


async def test_the_same_message_id_is_published_once(queue: Queue) -> None:
    for data in (b"first", b"again"):
        await queue.publish("ictus.in.telegram.1", data, message_id="1")
    await queue.publish("ictus.in.telegram.1", b"other", message_id="2")
    await queue.publish("ictus.out.telegram.1", b"elsewhere", message_id="1")

    assert await acknowledged(queue, 2) == [b"first", b"other"]
    assert await acknowledged(queue, 1, OUTBOX, "ictus.out.>") == [b"elsewhere"]


async def test_a_subject_without_a_stream_is_refused(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "PATIENCE_SECONDS", 0.0)

    with pytest.raises(Unavailable):
        await queue.publish("nobody.listens", b"", message_id="1")


async def test_only_wanted_subjects_are_delivered(queue: Queue) -> None:
    for chat in ("1.a", "2.a", "2.b"):
        await queue.publish(f"ictus.in.telegram.{chat}", chat.encode(), message_id=chat)

    assert await acknowledged(queue, 1, INBOX, "ictus.in.telegram.*.b") == [b"2.b"]


async def test_work_that_is_not_acknowledged_comes_back_until_it_is(queue: Queue) -> None:
    await queue.publish("ictus.in.telegram.1", b"x", message_id="1")
    await queue.publish("ictus.in.telegram.1", b"y", message_id="2")

    seen = []
    async with aclosing(deliveries(queue)) as messages:
        async for message in messages:
            seen.append(message.data)
            if message.data == b"y" or seen.count(b"x") == 3:
                await message.ack()
            if seen.count(b"x") == 3:
                break

    assert seen == [b"x", b"y", b"x", b"x"]


async def test_retried_work_comes_back_after_the_others(queue: Queue) -> None:
    for number in range(2):
        await queue.publish("ictus.in.telegram.1", b"%d" % number, message_id=str(number))

    seen = []
    async with aclosing(deliveries(queue)) as messages:
        async for message in messages:
            seen.append((message.data, message.deliveries))
            await (message.retry(0.2) if len(seen) == 1 else message.ack())
            if len(seen) == 3:
                break

    assert seen == [(b"0", 1), (b"1", 1), (b"0", 2)]


async def test_long_work_stays_with_who_says_it_is_working(queue: Queue) -> None:
    await queue.publish("ictus.in.telegram.1", b"long", message_id="1")
    async with aclosing(deliveries(queue)) as mine, aclosing(deliveries(queue)) as other:
        message = await anext(mine)
        stolen = asyncio.ensure_future(anext(other))
        for _ in range(8):
            await asyncio.sleep(ACK_WAIT_S / 5)
            await message.working()
        await message.ack()
        await queue.publish("ictus.in.telegram.1", b"next", message_id="2")

        assert (await stolen).data == b"next"


async def test_workers_with_one_name_share_the_work(queue: Queue) -> None:
    for number in range(20):
        await queue.publish("ictus.in.telegram.1", b"%d" % number, message_id=str(number))

    seen = await asyncio.gather(acknowledged(queue, 10), acknowledged(queue, 10))

    assert sorted(seen[0] + seen[1], key=int) == [b"%d" % number for number in range(20)]


async def test_a_worker_with_room_for_several_is_sent_as_many_and_no_more(
    nats_client: Client,
) -> None:
    queue = JetStreamQueue(nats_client)
    for number in range(5):
        await queue.publish("ictus.in.telegram.1", b"%d" % number, message_id=str(number))
    roomy = queue.consume(INBOX, "worker", ["ictus.in.>"], lambda: 3)

    async with aclosing(roomy) as mine, aclosing(deliveries(queue)) as other:
        first = await anext(mine)
        theirs = [await anext(other), await anext(other)]
        rest = [await anext(mine), await anext(mine)]

    assert [message.data for message in (first, *rest)] == [b"0", b"1", b"2"]
    assert [message.data for message in theirs] == [b"3", b"4"]


async def test_a_backlog_is_what_no_worker_has_done_yet(queue: Queue) -> None:
    assert await queue.backlog(OUTBOX, "worker") == 0
    for number in range(3):
        await queue.publish("ictus.out.a", b"", message_id=str(number))
    async with aclosing(queue.consume(OUTBOX, "worker", ["ictus.out.>"])) as deliveries:
        first = await anext(deliveries)
        assert await queue.backlog(OUTBOX, "worker") == 3
        await first.ack()
        await anext(deliveries)  # the server has seen the acknowledgement
        assert await queue.backlog(OUTBOX, "worker") == 2


async def test_a_worker_that_starts_again_goes_on_where_it_was(queue: Queue) -> None:
    for number in range(4):
        await queue.publish("ictus.in.telegram.1", b"%d" % number, message_id=str(number))

    assert await acknowledged(queue, 2) == [b"0", b"1"]
    assert await acknowledged(queue, 2) == [b"2", b"3"]


async def test_the_ledger_is_consumed_like_a_queue(place: Place) -> None:
    await place.ledger.append(new_request(), [commit_to(uuid4(), "a", "b")])

    async with aclosing(
        deliveries(place.queue, LEDGER, "ictus.ev.*.person.*.consented")
    ) as messages:
        message = await anext(messages)

    recorded = decode(message.sequence, message.data)
    assert (recorded.sequence, recorded.event) == (1, event("a"))


async def test_a_schedule_fires_once_and_the_last_of_a_name_stands(queue: Queue) -> None:
    for data in (b"first", b"second"):
        await queue.schedule("album/1", 1, "ictus.sched.due.album", data)
    await queue.schedule("album/2", 2, "ictus.sched.due.album", b"last")

    fired = await acknowledged(queue, 2, SCHEDULE, "ictus.sched.due.>")

    assert fired == [b"second", b"last"]


async def test_only_one_of_ten_racers_claims_a_slot(slots: Slots) -> None:
    claims = await asyncio.gather(*(slots.claim("card/1", b"%d" % n) for n in range(10)))

    assert sorted(claims) == [False] * 9 + [True]
    assert await slots.get("card/1") == b"%d" % claims.index(True)


async def test_a_claimed_slot_stays_claimed_also_for_its_owner(slots: Slots) -> None:
    assert await slots.claim("card/1", b"mine")
    assert not await slots.claim("card/1", b"mine")
    assert await slots.claim("card/2", b"mine")


async def test_a_note_can_be_replaced_and_any_name_will_do(slots: Slots) -> None:
    key = "telegram/-100 5.*>/Ünïcode"

    assert await slots.get(key) is None
    await slots.put(key, b"one")
    await slots.put(key, b"two")

    assert await slots.get(key) == b"two"
    assert not await slots.claim(key, b"three")


# What only a server can do to us


async def test_a_claim_whose_answer_was_lost_is_still_ours(
    lossy: tuple[LossyLine, Client],
) -> None:
    line, client = lossy
    line.armed = True

    assert await BucketSlots(client).claim("card/1", b"mine")
    assert not await BucketSlots(client).claim("card/1", b"mine")


async def test_a_publish_whose_answer_was_lost_is_stored_once(
    lossy: tuple[LossyLine, Client],
) -> None:
    line, client = lossy
    queue = JetStreamQueue(client)
    line.armed = True

    await queue.publish("ictus.in.telegram.1", b"once", message_id="1")
    await queue.publish("ictus.in.telegram.1", b"end", message_id="2")

    assert await acknowledged(queue, 2) == [b"once", b"end"]


async def test_no_published_work_is_lost_when_the_server_is_killed(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    queue = JetStreamQueue(nats_client, ACK_WAIT_S)
    handled: set[bytes] = set()

    async def work() -> None:
        async with aclosing(deliveries(queue)) as messages:
            async for message in messages:
                handled.add(message.data)
                await message.ack()
                if len(handled) == 60:
                    return

    async def publish() -> None:
        for number in range(60):
            await queue.publish("ictus.in.telegram.1", b"%d" % number, message_id=str(number))
            if number in (20, 40):
                fresh_nats.kill()
                fresh_nats.restart()

    await asyncio.gather(publish(), work())
    left = await nats_client.jetstream().stream_info(INBOX)

    assert handled == {b"%d" % number for number in range(60)}
    assert left.state.last_seq == 60


async def test_a_schedule_survives_a_killed_server(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    queue = JetStreamQueue(nats_client)
    await queue.schedule("reminder", 1, "ictus.sched.due.reminder", b"remember")
    fresh_nats.kill()
    fresh_nats.restart()

    assert await acknowledged(queue, 1, SCHEDULE, "ictus.sched.due.>") == [b"remember"]


async def test_personal_names_stand_in_no_subject(nats_client: Client) -> None:
    await BucketSlots(nats_client).put("chat/123456789", b"")
    await JetStreamQueue(nats_client).schedule(
        "chat/123456789", 60, "ictus.sched.due.reminder", b""
    )

    for stream in ("KV_ICTUS_SENT", SCHEDULE):
        message = await nats_client.jetstream().get_msg(stream, 1)
        assert "123456789" not in f"{message.subject} {message.headers}"


async def test_a_worker_on_another_connection_takes_over(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    await JetStreamQueue(nats_client).publish("ictus.in.telegram.1", b"x", message_id="1")
    async with (
        await connect(fresh_nats.url, "first") as first,
        aclosing(deliveries(JetStreamQueue(first, ACK_WAIT_S))) as messages,
    ):
        await anext(messages)

    assert await acknowledged(JetStreamQueue(nats_client, ACK_WAIT_S), 1) == [b"x"]
