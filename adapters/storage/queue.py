"""Queues of work, durable delays and shared notes on JetStream."""

from asyncio import sleep
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from logging import getLogger

from msgspec import json
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import NotFoundError

from adapters.storage.bucket import Bucket
from adapters.storage.nats_connection import PAUSE_SECONDS, jetstream, manage, patiently, reaching
from adapters.storage.pull import NANOSECONDS, pull
from adapters.storage.streams import BLOCKED_BUCKET, SCHEDULE_ROOT, SENT_BUCKET, token
from adapters.storage.wire import Wire, wire_beside
from adapters.storage.wire_protocol import Frame, encoded_headers, publishing
from commands.ports import Unavailable

ACK_WAIT_SECONDS = 15.0
ACK_PENDING_MAX = 256
DELIVERIES_UNLIMITED = -1
ACK_TOKENS_SHORT = 9
"""Of `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream sequence>…`; behind `$JS.ACK` a longer form
names a domain and an account."""

log = getLogger(__name__)


class JetStreamQueue:
    """Implements `commands.ports.Queue`. Unacknowledged work comes back after `ack_wait_s`."""

    def __init__(self, client: Client, ack_wait_s: float = ACK_WAIT_SECONDS) -> None:
        self._client = client
        self._wire = wire_beside(client)
        self._ack_wait_s = ack_wait_s

    async def publish(self, subject: str, data: bytes, *, message_id: str) -> None:
        await patiently(partial(self._publish, subject, data, {Header.MSG_ID.value: message_id}))

    async def schedule(self, name: str, delay_s: float, target: str, data: bytes) -> None:
        """`target` must lie in `ictus.sched.>` too; it fires with a precision of a second."""
        due = datetime.now(UTC) + timedelta(seconds=delay_s)
        when: dict[str, str] = {
            Header.SCHEDULE.value: f"@at {due.isoformat(timespec='milliseconds')}",
            Header.SCHEDULE_TARGET.value: target,
        }
        await patiently(partial(self._publish, f"{SCHEDULE_ROOT}.{token(name)}", data, when))

    async def consume(
        self,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        room: Callable[[], int] = lambda: 1,
    ) -> AsyncIterator["Delivery"]:
        """Several processes with one `durable` share its work."""
        while True:
            try:
                await self._make_consumer(stream, durable, subjects)
                async with aclosing(pull(self._wire, stream, durable, room)) as messages:
                    async for message in messages:
                        yield Delivery(self._wire, message)
            except Unavailable:
                if self._client.is_closed:
                    raise
            if self._client.is_connected:
                log.warning("deliveries of %s to %s broke off; asking again", stream, durable)
            await sleep(PAUSE_SECONDS)

    async def backlog(self, stream: str, durable: str) -> int:
        try:
            info = await manage(self._client, lambda js: js.consumer_info(stream, durable))
        except NotFoundError:
            return 0
        return (info.num_ack_pending or 0) + (info.num_pending or 0)

    async def latest(self, stream: str, subject: str) -> bytes | None:
        try:
            found = await manage(
                self._client, lambda js: js.get_last_msg(stream, subject, direct=True)
            )
        except NotFoundError:
            return None
        return found.data or b""

    async def _publish(self, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        answer = await self._wire.publish(subject, data, encoded_headers(headers))
        if answer.error:
            raise RuntimeError(f"JetStream refuses: {answer.error.description}")

    async def _make_consumer(self, stream: str, durable: str, subjects: Sequence[str]) -> None:
        config = consumer_config(durable, subjects, self._ack_wait_s)
        with reaching(self._client):
            await jetstream(self._client).add_consumer(stream, config)


def consumer_config(
    durable: str, subjects: Sequence[str], ack_wait_s: float = ACK_WAIT_SECONDS
) -> ConsumerConfig:
    return ConsumerConfig(
        name=durable,
        durable_name=durable,
        filter_subjects=list(subjects),
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        max_deliver=DELIVERIES_UNLIMITED,
        max_ack_pending=ACK_PENDING_MAX,
    )


class Delivery:
    """Implements `commands.ports.Message`. What it says is said again while NATS is away."""

    def __init__(self, wire: Wire, message: Frame) -> None:
        subject, reply, _, self.data = message
        self._wire = wire
        self.subject, self._reply = subject.decode(), reply.decode()

    @property
    def sequence(self) -> int:
        return int(self._tokens[3])

    @property
    def deliveries(self) -> int:
        return int(self._tokens[2])

    @property
    def _tokens(self) -> Sequence[str]:
        """From the stream's name on."""
        tokens = self._reply.split(".")
        return tokens[2:] if len(tokens) == ACK_TOKENS_SHORT else tokens[4:]

    async def ack(self) -> None:
        await self._say(b"+ACK")

    async def retry(self, delay_s: float) -> None:
        await self._say(b"-NAK " + json.encode({"delay": round(delay_s * NANOSECONDS)}))

    async def working(self) -> None:
        await self._say(b"+WPI")

    async def _say(self, word: bytes) -> None:
        session = await patiently(self._wire.session)
        session.write(publishing(self._reply, word))


class BucketSlots:
    """Implements `commands.ports.Slots`; notes are kept for seven days."""

    def __init__(self, client: Client) -> None:
        self._bucket = Bucket(client, SENT_BUCKET)

    async def claim(self, key: str, value: bytes) -> bool:
        return await self._bucket.create(key, value)

    async def put(self, key: str, value: bytes) -> None:
        await self._bucket.put(key, value)

    async def get(self, key: str) -> bytes | None:
        return await self._bucket.get(key)


class BucketBoard:
    """Implements `commands.ports.Board`; a note is kept for a day after its last change."""

    def __init__(self, client: Client) -> None:
        self._bucket = Bucket(client, BLOCKED_BUCKET)

    async def read(self, key: str) -> tuple[bytes, int]:
        return await self._bucket.read(key)

    async def write(self, key: str, note: bytes, version: int) -> bool:
        return await self._bucket.swap(key, note, version)
