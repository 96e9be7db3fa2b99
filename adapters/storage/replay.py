"""Reads a whole stream from any sequence on, as fast as the server can send it."""

from collections.abc import AsyncGenerator, Sequence
from uuid import uuid4

from msgspec import json
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from adapters.storage.nats_connection import jetstream, must_be_connected, reaching
from adapters.storage.wire import wire_beside
from adapters.storage.wire_protocol import Frame, header, publishing, status

ASKED_MESSAGES = 512
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
REQUEST_OVER = b"408"
ACK_TOKENS_SHORT = 9

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
    with session.inbox() as inbox:
        wish = publishing(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", WISH, reply=inbox.subject
        )
        owed, ended = 0, False
        while not ended:
            while owed <= ASKED_MESSAGES:
                session.write(wish)
                owed += ASKED_MESSAGES
            try:
                frames = await inbox.take(SILENCE_SECONDS_MAX)
            except TimeoutError:
                return
            pieces, served, ended = _in_order(frames, after + 1)
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


def _in_order(frames: Sequence[Frame], expected: int) -> tuple[list[Stored], int, bool]:
    """The messages up to the first gap, how many of those asked for are settled, and whether the
    reading ends here."""
    stored: list[Stored] = []
    unserved = 0
    for _, reply, headers, payload in frames:
        if reply:
            if _sequence(reply) != expected:
                return stored, len(stored), True
            stored.append((expected, payload))
            expected += 1
        elif status(headers) == REQUEST_OVER:
            unserved += int(header(headers, UNSERVED) or ASKED_MESSAGES)
        elif status(headers) != HEARTBEAT:
            return stored, len(stored), True
    return stored, len(stored) + unserved, False


def _sequence(reply: bytes) -> int:
    """From `$JS.ACK.<stream>.<consumer>.<n>.<stream sequence>…`; behind `$JS.ACK` a longer form
    names a domain and an account."""
    tokens = reply.split(b".")
    return int(tokens[5] if len(tokens) == ACK_TOKENS_SHORT else tokens[7])
