"""Queues of work, durable delays and shared notes on JetStream."""

from asyncio import sleep
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from logging import getLogger

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import NotFoundError

from adapters.storage.bucket import Bucket
from adapters.storage.nats_connection import PAUSE_SECONDS, jetstream, patiently, publish, reaching
from adapters.storage.pull import pull
from adapters.storage.streams import BLOCKED_BUCKET, SCHEDULE_ROOT, SENT_BUCKET, token
from commands.ports import Unavailable

ACK_WAIT_SECONDS = 15.0
ACK_PENDING_MAX = 256
DELIVERIES_UNLIMITED = -1

log = getLogger(__name__)


class JetStreamQueue:
    """Implements `commands.ports.Queue`. Unacknowledged work comes back after `ack_wait_s`."""

    def __init__(self, client: Client, ack_wait_s: float = ACK_WAIT_SECONDS) -> None:
        self._client = client
        self._ack_wait_s = ack_wait_s

    async def publish(self, subject: str, data: bytes, *, message_id: str) -> None:
        await patiently(partial(self._publish, subject, data, {Header.MSG_ID: message_id}))

    async def schedule(self, name: str, delay_s: float, target: str, data: bytes) -> None:
        """`target` must lie in `ictus.sched.>` too; it fires with a precision of a second."""
        due = datetime.now(UTC) + timedelta(seconds=delay_s)
        when: dict[str, str] = {
            Header.SCHEDULE: f"@at {due.isoformat(timespec='milliseconds')}",
            Header.SCHEDULE_TARGET: target,
        }
        await patiently(partial(self._publish, f"{SCHEDULE_ROOT}.{token(name)}", data, when))

    async def consume(
        self, stream: str, durable: str, subjects: Sequence[str]
    ) -> AsyncIterator["Delivery"]:
        """Several processes with one `durable` share its work; one message at a time each."""
        while True:
            try:
                await self._make_consumer(stream, durable, subjects)
                async with aclosing(pull(self._client, stream, durable, batch=1)) as messages:
                    async for message in messages:
                        yield Delivery(self._client, message)
            except Unavailable:
                if self._client.is_closed:
                    raise
            if self._client.is_connected:
                log.warning("deliveries of %s to %s broke off; asking again", stream, durable)
            await sleep(PAUSE_SECONDS)

    async def backlog(self, stream: str, durable: str) -> int:
        return await patiently(partial(self._backlog, stream, durable))

    async def _backlog(self, stream: str, durable: str) -> int:
        try:
            with reaching(self._client):
                info = await jetstream(self._client).consumer_info(stream, durable)
        except NotFoundError:
            return 0
        return (info.num_ack_pending or 0) + (info.num_pending or 0)

    async def latest(self, stream: str, subject: str) -> bytes | None:
        return await patiently(partial(self._latest, stream, subject))

    async def _latest(self, stream: str, subject: str) -> bytes | None:
        try:
            with reaching(self._client):
                found = await jetstream(self._client).get_last_msg(stream, subject, direct=True)
        except NotFoundError:
            return None
        return found.data or b""

    async def _publish(self, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        answer = await publish(self._client, subject, data, headers)
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
    """Implements `commands.ports.Message`."""

    def __init__(self, client: Client, message: Msg) -> None:
        self._client = client
        self._message = message

    @property
    def subject(self) -> str:
        return self._message.subject

    @property
    def data(self) -> bytes:
        return self._message.data

    @property
    def sequence(self) -> int:
        return self._message.metadata.sequence.stream

    @property
    def deliveries(self) -> int:
        return self._message.metadata.num_delivered

    async def ack(self) -> None:
        with reaching(self._client):
            await self._message.ack()

    async def retry(self, delay_s: float) -> None:
        with reaching(self._client):
            await self._message.nak(delay_s)

    async def working(self) -> None:
        with reaching(self._client):
            await self._message.in_progress()


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
