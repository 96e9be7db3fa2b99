"""Reads a whole stream from any sequence on, as fast as the server can send it."""

from collections.abc import AsyncGenerator
from uuid import uuid4

from msgspec import json
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.storage.nats_connection import jetstream, must_be_connected, reaching
from adapters.storage.wire import wire_beside
from adapters.storage.wire_protocol import Sink, header, publishing, status

ASKED_MESSAGES = 2048
EXPIRES_SECONDS = 20
HEARTBEAT_SECONDS = 1
SILENCE_SECONDS_MAX = 2.5
IDLE_SECONDS_MAX = 15.0
NANOSECONDS = 1_000_000_000

WISH = json.encode(
    {
        "batch": ASKED_MESSAGES,
        "expires": EXPIRES_SECONDS * NANOSECONDS,
        "idle_heartbeat": HEARTBEAT_SECONDS * NANOSECONDS,
    }
)
HEARTBEAT = b"100"
UNSERVED = b"Nats-Pending-Messages"
REQUEST_OVER = frozenset({b"408", b"409"})
HEADED, DOT = b"HMSG", b"."
ACK_TOKENS_SHORT = 9
"""Of `$JS.ACK.<stream>.<consumer>.<n>.<stream sequence>…`; behind `$JS.ACK` a longer form names a
domain and an account."""

Stored = tuple[int, bytes]
"""A message of a stream: its sequence and its payload."""


async def replay(client: Client, stream: str, after: int) -> AsyncGenerator[list[Stored], None]:
    """Yields what lies after sequence `after`, and then what comes, some messages at a time.

    Ends when anything is wrong: a gap, silence, a consumer that is gone; begin anew then. Raises
    Unavailable. At most 2 * ASKED_MESSAGES are under way, however slow the reader; the request is
    not bounded in bytes as well, since nats-server then sends five times slower.
    """
    consumer = await _consumer(client, stream, after + 1)
    session = await wire_beside(client).session()
    with session.inbox(_cutting) as inbox:
        wish = publishing(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", WISH, reply=inbox.subject
        )
        owed, ended = 0, False
        while not ended:
            while owed <= ASKED_MESSAGES:
                session.write(wish)
                owed += ASKED_MESSAGES
            try:
                arrived = await inbox.take(SILENCE_SECONDS_MAX)
            except TimeoutError:
                return
            pieces, served, ended = _in_order(arrived, after + 1)
            owed -= served
            if pieces:
                after = pieces[-1][0]
                yield pieces


async def _consumer(client: Client, stream: str, first: int) -> str:
    """One in the server's memory that remembers nothing and goes when nobody pulls."""
    must_be_connected(client)
    config = ConsumerConfig(
        name=f"replay-{uuid4().hex}",
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=first,
        ack_policy=AckPolicy.NONE,
        max_deliver=-1,
        mem_storage=True,
        inactive_threshold=IDLE_SECONDS_MAX,
    )
    with reaching(client):
        return (await jetstream(client).add_consumer(stream, config)).name


def _cutting(arrived: list[Stored]) -> Sink:
    """What only says how things stand comes as sequence 0 with its headers."""

    def sink(words: list[bytes], data: bytes, begin: int, middle: int, stop: int) -> None:
        if len(words) == (6 if words[0] == HEADED else 5):
            tokens = words[3].split(DOT)
            sequence = int(tokens[5 if len(tokens) == ACK_TOKENS_SHORT else 7])
            arrived.append((sequence, data[middle:stop]))
        else:
            arrived.append((0, data[begin:middle]))

    return sink


def _in_order(arrived: list[Stored], expected: int) -> tuple[list[Stored], int, bool]:
    """The messages up to the first gap, how many of those asked for are settled, and whether the
    reading ends here."""
    if _sequences(arrived) == list(range(expected, expected + len(arrived))):
        return arrived, len(arrived), False
    stored: list[Stored] = []
    unserved = 0
    for sequence, content in arrived:
        if sequence:
            if sequence != expected:
                return stored, len(stored), True
            stored.append((sequence, content))
            expected += 1
        elif status(content) in REQUEST_OVER and (left := header(content, UNSERVED)):
            unserved += int(left)
        elif status(content) != HEARTBEAT:
            return stored, len(stored), True
    return stored, len(stored) + unserved, False


def _sequences(arrived: list[Stored]) -> list[int]:
    return [sequence for sequence, _ in arrived]
