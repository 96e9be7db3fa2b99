"""The ledger's stream as it lies there, message by message, for who checks or restores it."""

from asyncio import Event as Signal, timeout
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

from msgspec import json
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import Header
from nats.js.errors import NotFoundError

from adapters.storage.nats_connection import (
    ANSWER_SECONDS_MAX,
    jetstream,
    manage,
    must_be_connected,
    patiently,
    reaching,
)
from adapters.storage.streams import LEDGER, LEDGER_ID, LEDGER_ORIGIN
from commands.ports import Head, Unavailable
from domain.identity import SUBJECT_ROOT
from workers.witness.stream import Stored

CHUNK_MESSAGES = 256
CHUNK_BYTES = 8 * 1024 * 1024
END_OF_BATCH, NOT_FOUND = "204", "404"


class JetStreamMessages:
    """Implements `workers.witness.stream.Stream`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def head(self) -> Head:
        info = await manage(self._client, lambda js: js.stream_info(LEDGER))
        metadata = info.config.metadata or {}
        return Head(UUID(metadata[LEDGER_ID]), metadata[LEDGER_ORIGIN], info.state.last_seq)

    async def read(self, first: int, last: int) -> AsyncIterator[Stored]:
        while first <= last:
            chunk = await patiently(partial(self._chunk, first))
            for message in chunk:
                async for missed in self._missed(first, min(message.sequence, last + 1)):
                    yield missed
                if message.sequence > last:
                    return
                yield message
                first = message.sequence + 1
            if not chunk:
                async for missed in self._missed(first, last + 1):
                    yield missed
                return

    async def durables(self) -> dict[str, int]:
        found = await manage(self._client, lambda js: js.consumers_info(LEDGER))
        return {
            each.config.durable_name: each.ack_floor.stream_seq if each.ack_floor else 0
            for each in found
            if each.config.durable_name
        }

    async def _chunk(self, first: int) -> list[Stored]:
        """Messages from sequence `first` on, by one batched direct get; none if there is none."""
        arrived: list[Msg] = []
        complete = Signal()

        async def arrive(message: Msg) -> None:
            arrived.append(message)
            if _header(message, "Status"):
                complete.set()

        wish = {
            "batch": CHUNK_MESSAGES,
            "max_bytes": CHUNK_BYTES,
            "seq": first,
            "next_by_subj": f"{SUBJECT_ROOT}.>",
        }
        must_be_connected(self._client)
        inbox = self._client.new_inbox()
        with reaching(self._client):
            subscription = await self._client.subscribe(inbox, cb=arrive)
            try:
                await self._client.publish(
                    f"$JS.API.DIRECT.GET.{LEDGER}", json.encode(wish), reply=inbox
                )
                async with timeout(ANSWER_SECONDS_MAX):
                    await complete.wait()
            finally:
                if not self._client.is_closed:
                    await subscription.unsubscribe()
        return _parsed(arrived)

    async def _missed(self, first: int, end: int) -> AsyncIterator[Stored]:
        """Those of these messages that the stream's leader has: a replica may be late."""
        for sequence in range(first, end):
            if found := await patiently(partial(self._from_leader, sequence)):
                yield found

    async def _from_leader(self, sequence: int) -> Stored | None:
        must_be_connected(self._client)
        with reaching(self._client):
            try:
                found = await jetstream(self._client).get_msg(LEDGER, sequence)
            except NotFoundError:
                return None
        id_ = (found.headers or {}).get(Header.MSG_ID, "")
        return Stored(sequence, found.subject or "", id_, found.data or b"")


def _parsed(arrived: list[Msg]) -> list[Stored]:
    """Raises Unavailable when the answer is not whole."""
    *messages, end = arrived
    status = _header(end, "Status")
    if status == NOT_FOUND:
        return []
    last = _header(messages[-1], "Nats-Sequence") if messages else ""
    if status != END_OF_BATCH or _header(end, "Nats-Last-Sequence") != last:
        raise Unavailable(f"the ledger's answer broke off: {status}")
    return [
        Stored(
            int(_header(each, "Nats-Sequence")),
            _header(each, "Nats-Subject"),
            _header(each, Header.MSG_ID),
            each.data,
        )
        for each in messages
    ]


def _header(message: Msg, name: str) -> str:
    return (message.headers or {}).get(name, "")
