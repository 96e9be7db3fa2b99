"""What only a server can do to a ledger: lost answers, restarts, gaps, other writers."""

import asyncio
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from adapters.storage import nats_connection
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.streams import LEDGER
from commands.ports import Conflict, Damaged, Unavailable
from domain.identity import subject
from tests.contracts.lossy import LossyLine
from tests.contracts.writing import commit_to, followed, insist, new_request, notices, read
from tests.servers import NatsServer


@pytest.mark.parametrize("sizes", [(1,), (2,), (1, 1)])
async def test_a_lost_acknowledgement_is_no_conflict(
    lossy: tuple[LossyLine, Client], sizes: tuple[int, ...]
) -> None:
    line, client = lossy
    ledger = JetStreamLedger(client)
    commits = [commit_to(uuid4(), *"ab"[:size]) for size in sizes]
    line.armed = True

    sequence = await ledger.append(new_request(), commits)

    assert sequence == sum(sizes)
    assert len(await read(ledger)) == sum(sizes)
    assert not line.armed


async def test_a_conflict_behind_a_lost_answer_stays_a_conflict(
    lossy: tuple[LossyLine, Client], nats_client: Client
) -> None:
    line, client = lossy
    person = uuid4()
    await JetStreamLedger(nats_client).append(new_request(), [commit_to(person, "theirs")])
    line.armed = True

    with pytest.raises(Conflict):
        await JetStreamLedger(client).append(new_request(), [commit_to(person, "mine")])


@pytest.mark.parametrize("sizes", [(1,), (2,), (1, 1)])
async def test_a_request_repeated_after_the_duplicate_window_is_stored_once(
    nats_client: Client, sizes: tuple[int, ...]
) -> None:
    stream = nats_client.jetstream()
    config: StreamConfig = (await stream.stream_info(LEDGER)).config
    await stream.update_stream(config, duplicate_window=0.1)
    ledger, request = JetStreamLedger(nats_client), new_request()
    commits = [commit_to(uuid4(), *"ab"[:size]) for size in sizes]

    first = await ledger.append(request, commits)
    await asyncio.sleep(0.3)

    assert await ledger.append(request, commits) == first
    assert (await ledger.head()).sequence == sum(sizes)


async def test_writers_on_two_connections_do_not_overtake_each_other(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    person = uuid4()
    async with await connect(fresh_nats.url, "other") as other:
        ledgers = (JetStreamLedger(nats_client), JetStreamLedger(other))
        await asyncio.gather(*(insist(ledgers[n % 2], person, str(n)) for n in range(20)))

    assert len(await ledgers[0].load("person", person)) == 20


async def test_more_batches_at_once_than_the_server_opens_all_land(nats_client: Client) -> None:
    ledger = JetStreamLedger(nats_client)

    await asyncio.gather(
        *(ledger.append(new_request(), [commit_to(uuid4(), "a", "b")]) for _ in range(120))
    )

    assert (await ledger.head()).sequence == 240


async def test_long_histories_come_in_several_chunks(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    large = [str(number) * 1000 for number in range(700)]
    for start in range(0, 700, 350):
        history = await ledger.load("person", person)
        after = history[-1] if history else None
        commit = commit_to(person, *large[start : start + 350], after=after)
        await ledger.append(new_request(), [commit])

    assert notices(await ledger.load("person", person)) == large
    assert notices(await read(ledger)) == large


async def test_a_missing_sequence_is_damage(nats_client: Client) -> None:
    """As after a flipped bit in the store: the event is gone and the server does not say so."""
    stream = nats_client.jetstream()
    ledger = JetStreamLedger(nats_client)
    await stream.delete_stream(LEDGER)
    await stream.add_stream(
        name=LEDGER,
        subjects=["ictus.ev.>"],
        allow_direct=True,
        allow_atomic=True,
        metadata={"ictus-ledger": str(uuid4()), "ictus-origin": "demo"},
    )
    for notice in "abc":
        await ledger.append(new_request(), [commit_to(uuid4(), notice)])
    await stream.delete_msg(LEDGER, 2)

    with pytest.raises(Damaged, match="sequence 2"):
        await read(ledger)
    with pytest.raises(Damaged, match="sequence 2"):
        await followed(ledger, count=3)


async def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    following = asyncio.create_task(followed(ledger, count=60))

    async def write() -> list[int]:
        return [await insist(ledger, person, str(number)) for number in range(60)]

    writing = asyncio.create_task(write())
    for past in (15, 25):
        await followed(ledger, count=past)
        fresh_nats.kill()
        fresh_nats.restart()

    acknowledged = await writing
    assert acknowledged == list(range(1, 61))
    assert notices(await ledger.load("person", person)) == [str(number) for number in range(60)]
    assert [recorded.sequence for recorded in await following] == acknowledged


async def test_a_ledger_that_is_away_is_unavailable(
    nats_client: Client, fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.5)
    ledger = JetStreamLedger(nats_client)
    fresh_nats.kill()
    try:
        with pytest.raises(Unavailable):
            await ledger.append(new_request(), [commit_to(uuid4(), "a")])
        with pytest.raises(Unavailable):
            await ledger.head()
    finally:
        fresh_nats.restart()


async def test_a_follower_gets_events_that_were_not_appended_through_its_own_ledger(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    async with await connect(fresh_nats.url, "follower") as other:
        following = asyncio.create_task(followed(JetStreamLedger(other), count=1))
        await JetStreamLedger(nats_client).append(new_request(), [commit_to(uuid4(), "a")])

        assert notices(await following) == ["a"]


async def test_events_carry_their_id_and_media_type_as_headers(nats_client: Client) -> None:
    person = uuid4()
    ledger = JetStreamLedger(nats_client)
    await ledger.append(new_request(), [commit_to(person, "a")])
    (recorded,) = await ledger.load("person", person)

    message = await nats_client.jetstream().get_msg(LEDGER, 1)

    assert message.subject == subject("person", person, "consented")
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"] == str(recorded.id)
    assert message.headers["content-type"] == "application/cloudevents+json"
