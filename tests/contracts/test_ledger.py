"""What every ledger must do, asked of the one in memory and of JetStream on a real server."""

import asyncio
from contextlib import aclosing, suppress
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from adapters.storage import nats_connection
from adapters.storage.commits import EVENTS_MAX
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryLedger
from adapters.storage.nats_connection import connect
from adapters.storage.streams import LEDGER
from commands.ports import Commit, Conflict, Damaged, Ledger, Unavailable
from domain.events import Recorded
from domain.identity import subject
from tests.contracts.lossy import LossyLine
from tests.contracts.writing import commit_to, event, new_request, notices
from tests.servers import NatsServer


@pytest.fixture(params=["memory", "jetstream"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    return JetStreamLedger(request.getfixturevalue("nats_client"))


async def read(ledger: Ledger, after: int = 0, aggregate: str | None = None) -> list[Recorded]:
    return [recorded async for recorded in ledger.read(after, aggregate)]


async def followed(ledger: Ledger, count: int, after: int = 0) -> list[Recorded]:
    seen: list[Recorded] = []
    async with aclosing(ledger.follow(after)) as events:  # type: ignore[type-var]
        async for recorded in events:
            seen.append(recorded)
            if len(seen) == count:
                break
    return seen


async def insist(ledger: Ledger, person: UUID, notice: str) -> int:
    """Loads and appends until nobody came between."""
    request = new_request()
    while True:
        history = await ledger.load("person", person)
        with suppress(Conflict):
            after = history[-1] if history else None
            return await ledger.append(request, [commit_to(person, notice, after=after)])


# Appending


async def test_an_event_is_appended_and_loaded(ledger: Ledger) -> None:
    person, request = uuid4(), new_request()

    sequence = await ledger.append(request, [commit_to(person, "a")])
    (recorded,) = await ledger.load("person", person)

    assert (sequence, recorded.sequence) == (1, 1)
    assert recorded.event == event("a")
    assert (recorded.aggregate, recorded.aggregate_id) == ("person", person)
    assert recorded.envelope.actor == request.actor


async def test_several_events_of_a_commit_are_stored_in_order_and_chained(ledger: Ledger) -> None:
    person = uuid4()

    await ledger.append(new_request(), [commit_to(person, "a")])
    first = (await ledger.load("person", person))[-1]
    sequence = await ledger.append(new_request(), [commit_to(person, "b", "c", after=first)])
    history = await ledger.load("person", person)

    assert sequence == 3
    assert notices(history) == ["a", "b", "c"]
    assert history[2].envelope.prevhash == history[1].hash


async def test_several_aggregates_move_together(ledger: Ledger) -> None:
    one, other = uuid4(), uuid4()

    sequence = await ledger.append(new_request(), [commit_to(one, "a", "b"), commit_to(other, "c")])

    assert sequence == 3
    assert notices(await ledger.load("person", one)) == ["a", "b"]
    assert notices(await ledger.load("person", other)) == ["c"]


@pytest.mark.parametrize("more", [(), ("c",)])
async def test_a_stale_expectation_is_a_conflict(ledger: Ledger, more: tuple[str, ...]) -> None:
    person = uuid4()
    await ledger.append(new_request(), [commit_to(person, "a")])

    with pytest.raises(Conflict):
        await ledger.append(new_request(), [commit_to(person, "b", *more)])

    assert notices(await ledger.load("person", person)) == ["a"]


@pytest.mark.parametrize("turned", [False, True])
async def test_a_conflict_in_one_aggregate_stores_nothing_in_the_other(
    ledger: Ledger, turned: bool
) -> None:
    one, other = uuid4(), uuid4()
    await ledger.append(new_request(), [commit_to(one, "a")])
    commits = [commit_to(one, "b"), commit_to(other, "c")]

    with pytest.raises(Conflict):
        await ledger.append(new_request(), commits[::-1] if turned else commits)

    assert len(await read(ledger)) == 1


async def test_an_expectation_ahead_of_the_ledger_is_a_conflict(ledger: Ledger) -> None:
    person = uuid4()
    ahead = Commit("person", person, (event(),), expected=7)

    with pytest.raises(Conflict):
        await ledger.append(new_request(), [ahead])


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 2)])
async def test_a_repeated_request_is_stored_once(ledger: Ledger, sizes: tuple[int, ...]) -> None:
    request = new_request()
    commits = [commit_to(uuid4(), *"abc"[:size]) for size in sizes]

    first = await ledger.append(request, commits)
    await ledger.append(new_request(), [commit_to(uuid4(), "else")])

    assert await ledger.append(request, commits) == first
    assert len(await read(ledger)) == sum(sizes) + 1


async def test_the_same_request_makes_different_events_in_different_aggregates(
    ledger: Ledger,
) -> None:
    request = new_request()

    assert await ledger.append(request, [commit_to(uuid4(), "a")]) == 1
    assert await ledger.append(request, [commit_to(uuid4(), "a")]) == 2


@pytest.mark.parametrize(
    "commits",
    [
        [],
        [Commit("person", UUID(int=1), ())],
        [commit_to(UUID(int=1), "a"), commit_to(UUID(int=1), "b")],
        [commit_to(UUID(int=1), *"a" * (EVENTS_MAX + 1))],
        [commit_to(UUID(int=1), "a" * 256 * 1024)],
    ],
    ids=["nothing", "no event", "one aggregate twice", "too many events", "too large"],
)
async def test_what_no_ledger_takes_is_refused(ledger: Ledger, commits: list[Commit]) -> None:
    with pytest.raises(ValueError, match="at most"):
        await ledger.append(new_request(), commits)

    assert (await ledger.head()).sequence == 0


async def test_the_largest_commit_is_taken_whole(ledger: Ledger) -> None:
    person = uuid4()

    assert await ledger.append(new_request(), [commit_to(person, *"a" * EVENTS_MAX)]) == EVENTS_MAX
    assert len(await ledger.load("person", person)) == EVENTS_MAX


async def test_twenty_racing_writers_all_land_once_and_in_order(ledger: Ledger) -> None:
    person = uuid4()
    wanted = [str(number) for number in range(20)]

    sequences = await asyncio.gather(*(insist(ledger, person, notice) for notice in wanted))
    history = await ledger.load("person", person)

    assert sorted(notices(history)) == sorted(wanted)
    assert {r.sequence: n for r, n in zip(history, notices(history), strict=True)} == dict(
        zip(sequences, wanted, strict=True)
    )


# Reading


async def test_an_aggregate_without_events_loads_as_nothing(ledger: Ledger) -> None:
    assert await ledger.load("person", uuid4()) == []


async def test_a_broken_chain_is_damage(ledger: Ledger) -> None:
    person = uuid4()
    await ledger.append(new_request(), [Commit("person", person, (event(),), prevhash="1" * 64)])

    with pytest.raises(Damaged, match="sequence 1"):
        await ledger.load("person", person)


async def test_reading_goes_from_a_position_to_the_head(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.append(new_request(), [commit_to(uuid4(), str(number))])

    assert notices(await read(ledger)) == ["0", "1", "2", "3", "4"]
    assert [recorded.sequence for recorded in await read(ledger, after=3)] == [4, 5]
    assert await read(ledger, after=5) == []


async def test_reading_may_keep_one_kind_of_aggregate(ledger: Ledger) -> None:
    await ledger.append(new_request(), [commit_to(uuid4(), "a")])

    assert await read(ledger, aggregate="case") == []
    assert len(await read(ledger, aggregate="person")) == 1


async def test_a_reading_ends_where_the_ledger_stood_when_it_began(ledger: Ledger) -> None:
    for number in range(2):
        await ledger.append(new_request(), [commit_to(uuid4(), str(number))])

    seen = []
    async for recorded in ledger.read():
        seen.append(recorded.sequence)
        await ledger.append(new_request(), [commit_to(uuid4(), "new")])

    assert seen == [1, 2]


async def test_a_position_the_ledger_never_reached_is_damage(ledger: Ledger) -> None:
    with pytest.raises(Damaged):
        await read(ledger, after=1)


async def test_following_brings_the_past_and_then_what_comes(ledger: Ledger) -> None:
    await ledger.append(new_request(), [commit_to(uuid4(), "past"), commit_to(uuid4(), "past")])
    following = asyncio.create_task(followed(ledger, count=3, after=1))
    await asyncio.sleep(0.1)

    await ledger.append(new_request(), [commit_to(uuid4(), "new", "newer")])

    assert notices(await following) == ["past", "new", "newer"]


async def test_the_head_names_the_ledger_and_its_origin(ledger: Ledger) -> None:
    before = await ledger.head()
    await ledger.append(new_request(), [commit_to(uuid4(), "a")])
    after = await ledger.head()

    assert (before.origin, before.sequence, after.sequence) == ("demo", 0, 1)
    assert before.ledger == after.ledger


# What only a server can do to us


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
    assert client.stats["reconnects"] == 1


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
