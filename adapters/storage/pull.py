"""Pulls messages from a JetStream consumer by long-polling requests, until something is wrong."""

from collections.abc import AsyncGenerator, Callable

from msgspec import json

from adapters.storage.wire import Wire
from adapters.storage.wire_protocol import Frame, Sink, frame, publishing, status

EXPIRES_SECONDS = 20
HEARTBEAT_SECONDS = 1
SILENCE_SECONDS_MAX = 2.5
NANOSECONDS = 1_000_000_000
HEARTBEAT = b"100"
REQUEST_OVER = frozenset({b"404", b"408"})


async def pull(
    wire: Wire, stream: str, consumer: str, room: Callable[[], int]
) -> AsyncGenerator[Frame, None]:
    """Yields messages; ends when the consumer is gone or the server is silent, so make it anew.

    As many are asked for as there is `room` for, one at least, and none before the last one was
    taken. Raises Unavailable.
    """
    session = await wire.session()
    with session.inbox(_whole) as inbox:
        owed = 0
        while True:
            if not owed:
                owed = max(1, room())
                session.write(_request(stream, consumer, owed, inbox.subject))
            try:
                arrived = await inbox.take(SILENCE_SECONDS_MAX)
            except TimeoutError:
                return
            for message in arrived:
                if message[1]:
                    owed -= 1
                    yield message
                elif status(message[2]) in REQUEST_OVER:
                    owed = 0
                elif status(message[2]) != HEARTBEAT:
                    return


def _whole(arrived: list[Frame]) -> Sink:
    def sink(words: list[bytes], data: bytes, begin: int, middle: int, stop: int) -> None:
        arrived.append(frame(words, data, begin, middle, stop))

    return sink


def _request(stream: str, consumer: str, batch: int, inbox: str) -> bytes:
    wish = {
        "batch": batch,
        "expires": EXPIRES_SECONDS * NANOSECONDS,
        "idle_heartbeat": HEARTBEAT_SECONDS * NANOSECONDS,
    }
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
    return publishing(subject, json.encode(wish), reply=inbox)
