"""The fault proxy before a real server: what it does to whole messages, and only to them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings, strategies as st
from nats.aio.client import Client
from nats.errors import TimeoutError as NoAnswer

from adapters.storage.nats_connection import connect
from benchmarks.faulty.fates import Fault, Kind, Rates, Schedule
from benchmarks.faulty.frames import Frame, frames
from benchmarks.faulty.proxy import FaultProxy
from tests.servers import NatsServer

SUBJECT = "ictus.ev.00.test"
Through = Callable[[dict[Kind, Rates]], Awaitable[tuple[FaultProxy, Client]]]


@pytest.fixture
async def through(fresh_nats: NatsServer) -> AsyncIterator[Through]:
    """A client behind a proxy with these rates, before a server with a stream to publish to."""
    async with AsyncExitStack() as stack:

        async def opened(rates: dict[Kind, Rates]) -> tuple[FaultProxy, Client]:
            proxy = FaultProxy([fresh_nats.url], Schedule(1, rates))
            stack.push_async_callback(proxy.close)
            client = await stack.enter_async_context(await connect(await proxy.open(), "test"))
            await client.jetstream().add_stream(name="TEST", subjects=["ictus.ev.>"])
            return proxy, client

        yield opened


async def stored(client: Client) -> int:
    return (await client.jetstream().stream_info("TEST")).state.messages


async def publish(client: Client, **headers: str) -> int:
    done = await client.jetstream().publish(SUBJECT, b"a", timeout=0.5, headers=headers or None)
    return done.seq


async def test_without_faults_everything_passes_unchanged(through: Through) -> None:
    proxy, client = await through({})
    payloads = [b"", b"MSG a 1 3\r\nabc\r\n", bytes(range(256)) * 400]
    for payload in payloads:
        await client.jetstream().publish(SUBJECT, payload, headers={"a": "b"})

    found = [await client.jetstream().get_msg("TEST", number) for number in (1, 2, 3)]

    assert [message.data or b"" for message in found] == payloads
    assert found[1].headers == {"a": "b"}
    assert not proxy.counts


async def test_a_dropped_publish_never_arrives(through: Through) -> None:
    proxy, client = await through({"publish": Rates(drop=1)})

    with pytest.raises(NoAnswer):
        await publish(client)

    assert await stored(client) == 0
    assert proxy.counts == {"drop publish": 1}


async def test_a_dropped_acknowledgement_leaves_its_event_stored(through: Through) -> None:
    proxy, client = await through({"ack": Rates(drop=1)})

    with pytest.raises(NoAnswer):
        await publish(client)

    assert await stored(client) == 1
    assert proxy.counts == {"drop ack": 1}


async def test_a_doubled_publish_arrives_twice(through: Through) -> None:
    _, client = await through({"publish": Rates(duplicate=1)})

    await publish(client)

    assert await stored(client) == 2


async def test_a_delayed_message_arrives_and_keeps_its_place(through: Through) -> None:
    proxy, client = await through({"publish": Rates(delay=1)})

    assert [await publish(client) for _ in range(3)] == [1, 2, 3]
    assert proxy.counts == {"delay publish": 3}


@pytest.mark.parametrize(("kind", "left"), [("publish", 0), ("ack", 1)])
async def test_a_cut_line_breaks_in_the_middle_of_a_message(
    through: Through, kind: Kind, left: int
) -> None:
    proxy, client = await through({kind: Rates(cut=1)})

    with pytest.raises(NoAnswer):
        await publish(client)
    proxy.calm = True

    assert await stored(client) == left
    assert client.stats["reconnects"] == 1
    assert proxy.counts == {f"cut {kind}": 1}


async def test_answers_that_acknowledge_nothing_are_a_kind_of_their_own(through: Through) -> None:
    proxy, client = await through({"answer": Rates(duplicate=1)})

    await publish(client)
    await stored(client)

    assert set(proxy.counts) == {"duplicate answer"}


def fates(seed: int, keys: list[str]) -> list[Fault | None]:
    schedule = Schedule(seed, {"ack": Rates(drop=0.2, delay=0.2, duplicate=0.2, cut=0.2)})
    return [schedule.fate("ack", key).fault for key in keys]


@given(st.integers(), st.permutations([str(number) for number in range(50)]))
@settings(max_examples=20, deadline=None)
def test_the_seed_and_the_message_alone_decide_its_fate(seed: int, order: list[str]) -> None:
    by_key = dict(zip(order, fates(seed, order), strict=True))

    assert {key: by_key[key] for key in sorted(order)} == dict(
        zip(sorted(order), fates(seed, sorted(order)), strict=True)
    )


def test_rates_are_met_and_every_repetition_has_a_fate_of_its_own() -> None:
    drawn = fates(1, ["same"] * 5000)

    for fault in ("drop", "delay", "duplicate", "cut", None):
        assert 900 < drawn.count(fault) < 1100  # type: ignore[arg-type]


MESSAGES = (
    b"PING\r\n",
    b'INFO {"a": 1}\r\n',
    b"PUB a 3\r\nabc\r\n",
    b"PUB ictus.ev.a inbox 0\r\n\r\n",
    b"HPUB ictus.ev.a _INBOX.1 32 34\r\nNATS/1.0\r\nNats-Msg-Id: 12345\r\n\r\nab\r\n",
    b"MSG _INBOX.1 7 5\r\n\r\nabc\r\n",
    b"HMSG _INBOX.1 7 reply 12 14\r\nNATS/1.0\r\n\r\nab\r\n",
)


async def cut_out(data: bytes, sizes: list[int]) -> list[Frame]:
    reader = asyncio.StreamReader()
    while data:
        size = sizes.pop() if sizes else len(data)
        reader.feed_data(data[:size])
        data = data[size:]
        await asyncio.sleep(0)
    reader.feed_eof()
    return [frame async for frame in frames(reader)]


@given(st.lists(st.sampled_from(MESSAGES)), st.lists(st.integers(1, 40)), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_messages_are_cut_out_whole_however_they_arrive(
    messages: list[bytes], sizes: list[int], torn: int
) -> None:
    half = MESSAGES[4][: torn * 5]

    found = asyncio.run(cut_out(b"".join(messages) + half, sizes))

    assert [frame.raw for frame in found] == messages


async def test_a_message_tells_its_subject_its_reply_and_its_id() -> None:
    found = await cut_out(b"".join(MESSAGES), [])

    assert [(frame.subject, frame.reply) for frame in found] == [
        ("", ""),
        ("", ""),
        ("a", ""),
        ("ictus.ev.a", "inbox"),
        ("ictus.ev.a", "_INBOX.1"),
        ("_INBOX.1", ""),
        ("_INBOX.1", "reply"),
    ]
    assert found[4].message_id == "12345"
