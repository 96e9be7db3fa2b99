"""Writes a ledger anew into a server that has none: the same messages at the same sequences.

The admin's work. Messages carry no expectation: their sequences are what is checked.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast
from uuid import UUID, uuid4

from msgspec import json
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from adapters.storage.commits import EVENTS_MAX
from adapters.storage.jetstream import (
    BATCH_COMMIT,
    BATCH_ID,
    BATCH_SEQUENCE,
    CONTENT_TYPE_HEADER,
    MESSAGE_ID,
)
from adapters.storage.nats_connection import ask, manage
from adapters.storage.queue import consumer_config
from adapters.storage.streams import (
    LEDGER,
    LEDGER_ID,
    LEDGER_ORIGIN,
    STREAMS,
    Origin,
    Unfit,
    provision,
)
from adapters.storage.wire import answer_in, wire_beside
from adapters.storage.wire_protocol import encoded_headers, publishing
from commands.ports import Damaged
from domain.events import CONTENT_TYPE
from workers.witness.stream import Stored

BATCH_BYTES_MAX = 8 * 1024 * 1024


async def make_ledger(client: Client, ledger: UUID, origin: str, replicas: int = 1) -> None:
    """The empty stream of a ledger that has this id already, and every other stream beside it.

    Raises Unfit where a ledger lies already, Unavailable.
    """
    if LEDGER in await stream_names(client):
        raise Unfit("There is a ledger on this server already: nothing is restored over it.")
    (wanted,) = (stream for stream in STREAMS if stream.name == LEDGER)
    metadata = {LEDGER_ID: str(ledger), LEDGER_ORIGIN: origin}
    wanted = wanted.evolve(num_replicas=replicas)
    await manage(client, lambda js: js.add_stream(wanted, metadata=metadata))
    await provision(client, cast(Origin, origin), replicas)


async def stream_names(client: Client) -> set[str]:
    """Of all streams on the server, buckets included."""
    return {info.config.name or "" for info in await manage(client, lambda js: js.streams_info())}


async def write_messages(client: Client, messages: AsyncIterator[Stored]) -> int:
    """Stores them in the ledger's empty stream, in atomic batches; returns the last sequence.

    Raises Damaged when a message was not stored at its sequence, Unavailable; begin with a new
    stream then.
    """
    last = 0
    async for batch in _batches(messages):
        last = await _write(client, batch)
    return last


async def put_durables(
    client: Client, subjects: Mapping[str, Sequence[str]], positions: Mapping[str, int]
) -> None:
    """Makes a durable consumer of the ledger for each of `subjects`, to go on after its position.

    One without a position begins with the first message. Raises Unavailable.
    """
    for durable, filters in subjects.items():
        await _put_durable(client, consumer_config(durable, filters))
        wish = json.encode({"seq": positions.get(durable, 0) + 1})
        answer = await ask(client, f"$JS.API.CONSUMER.RESET.{LEDGER}.{durable}", wish)
        reply = json.decode(answer.data)
        if "error" in reply:
            raise Damaged(f"consumer {durable} cannot be placed: {reply['error']['description']}")


async def _put_durable(client: Client, config: ConsumerConfig) -> None:
    await manage(client, lambda js: js.add_consumer(LEDGER, config))


async def _batches(messages: AsyncIterator[Stored]) -> AsyncIterator[list[Stored]]:
    batch: list[Stored] = []
    held = 0
    async for message in messages:
        if batch and (len(batch) == EVENTS_MAX or held + len(message.payload) > BATCH_BYTES_MAX):
            yield batch
            batch, held = [], 0
        batch.append(message)
        held += len(message.payload)
    if batch:
        yield batch


async def _write(client: Client, batch: Sequence[Stored]) -> int:
    """All or nothing; only the last message is answered."""
    session = await wire_beside(client).session()
    name = uuid4().hex
    *first, (last, commit) = [
        (message, _headers(message) | {BATCH_ID: name, BATCH_SEQUENCE: str(number)})
        for number, message in enumerate(batch, start=1)
    ]
    session.write(
        b"".join(
            publishing(message.subject, message.payload, encoded_headers(headers))
            for message, headers in first
        )
    )
    await session.drained()
    headers = encoded_headers(commit | {BATCH_COMMIT: "1"})
    answer = answer_in(await session.request(last.subject, last.payload, headers))
    if answer.error or answer.seq != last.sequence:
        what = answer.error.description if answer.error else f"it came to lie at {answer.seq}"
        raise Damaged(f"message {last.sequence} cannot be restored at its sequence: {what}")
    return answer.seq


def _headers(message: Stored) -> dict[str, str]:
    named = {MESSAGE_ID: message.id} if message.id else {}
    return {CONTENT_TYPE_HEADER: CONTENT_TYPE} | named
