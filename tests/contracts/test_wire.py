"""The data path, held to what nats-py says and hears on the same real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlparse

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.storage import nats_connection, wire_session
from adapters.storage.nats_connection import connect
from adapters.storage.nkeys import load_nkey
from adapters.storage.wire import Wire, password_login, wire_beside
from adapters.storage.wire_protocol import (
    CONTROL_LINE_BYTES_MAX,
    Frame,
    Parser,
    ProtocolError,
    Sink,
    encoded_headers,
    frame,
    header,
    publishing,
    status,
)
from commands.ports import Unavailable
from ictus.nkeys import nkey_file
from ictus.settings import NKEYS
from tests.servers import NatsServer

ODD_PAYLOADS = {
    "nothing": b"",
    "line ends": b"\r\n\r\n",
    "another message": b"MSG a 1 3\r\nabc\r\n",
    "zeros": bytes(1000),
    "not text": bytes(range(256)) * 5,
    "a megabyte": b"m" * 1_000_000,
}
ODD_HEADERS = {
    "none": {},
    "one": {"Nats-Sequence": "17"},
    "alike": {"Nats-Last-Sequence": "1", "Nats-Sequence": "2", "Sequence": "3"},
    "unicode": {"name": "Инсульт", "empty": ""},
    "long": {f"header-{number}": "v" * 500 for number in range(20)},
}


@pytest.fixture
def wire(nats_client: Client) -> Wire:
    return wire_beside(nats_client)


@pytest.fixture
async def recorder(nats_client: Client) -> AsyncIterator[list[Msg]]:
    """What nats-py hears on `odd.>`; each message is answered with itself."""
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)
        if message.reply:
            await nats_client.publish(message.reply, message.data, headers=message.headers)

    subscription = await nats_client.subscribe("odd.>", cb=hear)
    await nats_client.flush()
    yield heard
    await subscription.unsubscribe()


# Messages


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
@pytest.mark.parametrize("payload", ODD_PAYLOADS.values(), ids=ODD_PAYLOADS.keys())
async def test_nats_py_hears_what_was_said_and_is_heard(
    wire: Wire, recorder: list[Msg], payload: bytes, headers: dict[str, str]
) -> None:
    session = await wire.session()

    frame = await session.request(
        "odd.thing", payload, encoded_headers(headers) if headers else b""
    )

    (heard,) = recorder
    assert (heard.data, heard.headers or {}) == (payload, headers)
    assert frame[3] == payload
    assert {name: header(frame[2], name.encode()).decode() for name in headers} == headers
    assert status(frame[2]) == b""


async def test_many_answers_at_once_each_find_their_request(
    wire: Wire, recorder: list[Msg]
) -> None:
    session = await wire.session()
    questions = [str(number).encode() * number for number in range(300)]

    answers = await asyncio.gather(*(session.request("odd.one", each) for each in questions))

    assert [answer[3] for answer in answers] == questions


async def test_nobody_there_is_said_at_once(wire: Wire) -> None:
    with pytest.raises(Unavailable, match="JetStream is away"):
        await wire.publish("nobody.listens", b"")


async def test_no_answer_is_unavailable_after_a_while(
    wire: Wire, nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.1)
    await nats_client.subscribe("silent")
    await nats_client.flush()

    with pytest.raises(Unavailable, match="in time"):
        await (await wire.session()).request("silent", b"")


def test_a_header_does_not_break_out_of_its_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        encoded_headers({"a": "b\r\nNats-Msg-Id: forged"})


# The parser


async def recorded_session(server: NatsServer, client: Client) -> bytes:
    """What a server really sends: its greeting, messages with and without headers, an error."""
    address = urlparse(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    hello = f'{{"user":"{address.username}","pass":"{address.password}","headers":true,"no_responders":true}}'
    writer.write(f"CONNECT {hello}\r\nSUB odd.> 7\r\nSUB _INBOX.x 8\r\nPING\r\n".encode())
    said = await reader.readuntil(b"PONG\r\n")
    for number, payload in enumerate(ODD_PAYLOADS.values()):
        await client.publish(f"odd.{number}", payload[:2000])
        await client.publish(f"odd.{number}", payload[:2000], reply="to", headers={"a": "b"})
    await client.publish("odd.last", b"last")  # nats-py's flush may overtake what was published
    said += await reader.readuntil(b"last\r\n")
    writer.write(publishing("nobody.listens", b"", reply="_INBOX.x") + b"SUB bad..subject 9\r\n")
    writer.write(b"PUB odd.end 3\r\nend\r\nPING\r\n")
    said += await reader.readuntil(b"end\r\nPONG\r\n")
    writer.close()
    await writer.wait_closed()
    return said


def heard_in(pieces: list[bytes]) -> tuple[list[Frame], list[bytes]]:
    frames: list[Frame] = []
    lines: list[bytes] = []
    parser = Parser(lines.append)
    parser.sinks[b"7"] = parser.sinks[b"8"] = lambda *cuts: frames.append(frame(*cuts))
    for piece in pieces:
        parser.feed(piece)
    return frames, lines


async def test_a_session_reads_the_same_wherever_it_is_cut(
    nats_client: Client, fresh_nats: NatsServer
) -> None:
    said = await recorded_session(fresh_nats, nats_client)

    frames, lines = heard_in([said])

    odd = [b"odd.%d" % (number // 2) for number in range(2 * len(ODD_PAYLOADS))]
    assert [frame[0] for frame in frames] == [*odd, b"odd.last", b"_INBOX.x", b"odd.end"]
    assert [frame[3] for frame in frames[:-3:2]] == [each[:2000] for each in ODD_PAYLOADS.values()]
    assert [status(frame[2]) for frame in frames[-2:]] == [b"503", b""]
    assert {line.split()[0] for line in lines} == {b"INFO", b"+OK", b"PONG", b"-ERR"}
    for cut in range(len(said) + 1):
        assert heard_in([said[:cut], said[cut:]]) == (frames, lines)
    for size in (1, 2, 3, 7, 100):
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert heard_in(pieces) == (frames, lines)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"MSG a 1 -5\r\n",
        b"MSG a 1 99999999999\r\n",
        b"HMSG a 1 9 5\r\nNATS/\r\n",
        b"MSG a 1 many\r\n",
        b"x" * (CONTROL_LINE_BYTES_MAX + 1),
    ],
    ids=["negative", "huge", "headers longer than all", "no number", "no end"],
)
def test_what_no_server_says_is_refused(nonsense: bytes) -> None:
    with pytest.raises((ProtocolError, ValueError)):
        Parser(lambda line: None).feed(nonsense)


# Connections


async def test_a_request_under_way_ends_when_the_server_dies_and_the_next_one_connects(
    wire: Wire, nats_client: Client, fresh_nats: NatsServer
) -> None:
    await nats_client.subscribe("silent")
    await nats_client.flush()
    waiting = asyncio.create_task((await wire.session()).request("silent", b""))
    await asyncio.sleep(0.05)

    fresh_nats.kill()
    try:
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable, match="NATS does not answer"):
            await wire.session()
    finally:
        fresh_nats.restart()

    assert (await wire.session()).is_open


async def test_it_is_closed_with_its_client(fresh_nats: NatsServer) -> None:
    async with await connect(fresh_nats.url, "one") as client:
        wire = wire_beside(client)
        session = await wire.session()
        assert wire_beside(client) is wire

    assert not session.is_open
    with pytest.raises(Unavailable):
        await wire.session()


async def test_a_wrong_password_is_told_in_the_servers_words(fresh_nats: NatsServer) -> None:
    address = urlparse(fresh_nats.url)
    wrong = address._replace(netloc=f"ictus:wrong@{address.hostname}:{address.port}")
    wire = Wire(lambda: [wrong], password_login, "_INBOX.x")

    with pytest.raises(Unavailable, match="Authorization Violation"):
        await wire.session()


async def test_a_user_with_a_key_is_let_in(fresh_nats: NatsServer) -> None:
    address = urlparse(fresh_nats.url)
    key = load_nkey(nkey_file(fresh_nats.data / NKEYS, "admin"))
    url = f"nats://{address.hostname}:{address.port}"

    async with await connect(url, "keyed", key) as client:
        assert (await wire_beside(client).session()).is_open


async def test_a_forbidden_publish_is_an_error_at_once_and_the_next_one_passes(
    wire: Wire, recorder: list[Msg]
) -> None:
    session = await wire.session()
    waiting = asyncio.create_task(session.request("ictus.ev.00.person.1.joined", b""))
    await asyncio.sleep(0)

    session.data_received(
        b"-ERR 'Permissions Violation for Publish to \"ictus.ev.00.person.1.joined\"'\r\n"
    )

    with pytest.raises(PermissionError, match=r"may not publish to `ictus\.ev\.>`"):
        await waiting
    assert (await session.request("odd.one", b"still here"))[3] == b"still here"


@asynccontextmanager
async def stranger(said: bytes) -> AsyncIterator[Wire]:
    """A wire to a server that says this and then nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire(lambda: [urlparse(f"nats://127.0.0.1:{port}")], password_login, "_INBOX.x")
    try:
        yield wire
    finally:
        await wire.close()
        server.close()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no word of NATS"),
        (b"INFO {broken\r\n", "malformed"),
        (b'INFO {"max_payload":1,"tls_required":true}\r\n', "TLS"),
        (b"", "does not answer"),
    ],
    ids=["another protocol", "broken greeting", "TLS", "silence"],
)
async def test_what_is_no_nats_server_of_ours_is_unavailable(
    said: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.storage.wire.CONNECT_SECONDS_MAX", 0.2)
    async with stranger(said) as wire:
        with pytest.raises(Unavailable, match=why):
            await wire.session()


def unread(arrived: list[bytes]) -> Sink:
    return lambda *cuts: None


async def test_a_server_that_goes_silent_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_session, "PING_SECONDS", 0.02)
    async with stranger(b'INFO {"max_payload":1000}\r\nPONG\r\n') as wire:
        session = await wire.session()
        with session.inbox(unread) as inbox, pytest.raises(Unavailable):
            await inbox.take(10)

    assert not session.is_open


async def test_what_is_said_in_one_turn_goes_out_in_one_piece_also_before_it_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[bytes] = []
    async with stranger(b'INFO {"max_payload":1000}\r\nPONG\r\n') as wire:
        session = await wire.session()
        await session.drained()
        monkeypatch.setattr(session._transport, "write", said.append)

        session.write(b"PUB a 0\r\n\r\n")
        session.write(b"PUB b 0\r\n\r\n")
        assert said == []
        await asyncio.sleep(0)
        session.write(b"PUB c 0\r\n\r\n")
        await session.close()

    assert said == [b"PUB a 0\r\n\r\nPUB b 0\r\n\r\n", b"PUB c 0\r\n\r\n"]
