"""The ledger on JetStream: append with lost acknowledgements resolved, load, read and follow."""

from asyncio import Event as Signal, Semaphore, sleep, timeout
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial
from logging import getLogger
from typing import NamedTuple
from uuid import UUID, uuid4

from msgspec import json
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header

from adapters.storage.commits import Entry, check_chain, entries, last_of
from adapters.storage.nats_connection import (
    ANSWER_SECONDS_MAX,
    PAUSE_SECONDS,
    Answer,
    jetstream,
    must_be_connected,
    patiently,
    publish,
    reaching,
)
from adapters.storage.pull import pull
from adapters.storage.streams import LEDGER, LEDGER_ID, LEDGER_ORIGIN
from commands.ports import Commit, Conflict, Damaged, Head, Unavailable
from domain.events import CONTENT_TYPE, Recorded, Request, decode
from domain.identity import SUBJECT_ROOT, subject_filter

BATCHES_OPEN_MAX = 8
CHUNK_EVENTS = 256
CHUNK_BYTES = 8 * 1024 * 1024
TAIL_IDLE_SECONDS_MAX = 60.0

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
INCOMPLETE_BATCH, DUPLICATE_IN_BATCH = 10176, 10201
WORTH_RETRYING = frozenset({INCOMPLETE_BATCH, DUPLICATE_IN_BATCH})
END_OF_BATCH, NOT_FOUND = "204", "404"

log = getLogger(__name__)


class Stored(NamedTuple):
    sequence: int
    payload: bytes


class JetStreamLedger:
    """Implements `commands.ports.Ledger`. It must be the only publisher to `ictus.ev.>`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._batches = Semaphore(BATCHES_OPEN_MAX)

    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        return await patiently(partial(self._append, entries(request, commits)))

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        """Raises Damaged when the chain of hashes is broken."""
        history = await self._history(subject_filter(aggregate, aggregate_id))
        check_chain(history)
        return history

    async def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        head = (await self.head()).sequence
        if after > head:
            raise Damaged(f"the ledger ends at sequence {head}, before {after}")
        async with aclosing(self._stored(_subjects(aggregate), after)) as stored:
            expected = after + 1
            while expected <= head and (each := await anext(stored, None)):
                if each.sequence > head:
                    break
                if aggregate is None and each.sequence != expected:
                    break
                expected = each.sequence + 1
                yield decode(*each)
        if aggregate is None and expected != head + 1:
            raise Damaged(f"the ledger has no event with sequence {expected}")

    async def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        """Whatever goes wrong with the live part is healed by a checked `read` from there on."""
        position = after
        while True:
            for part in (self._caught_up, self._live):
                async with aclosing(part(position)) as events:
                    async for recorded in events:
                        position = recorded.sequence
                        yield recorded
            await sleep(PAUSE_SECONDS)

    async def head(self) -> Head:
        return await patiently(self._head)

    async def _head(self) -> Head:
        must_be_connected(self._client)
        with reaching(self._client):
            info = await jetstream(self._client).stream_info(LEDGER)
        metadata = info.config.metadata or {}
        return Head(UUID(metadata[LEDGER_ID]), metadata[LEDGER_ORIGIN], info.state.last_seq)

    # Appending

    async def _append(self, new: Sequence[Entry]) -> int:
        """Without a clear yes, what the ledger holds decides: no answer says nothing, and a retry
        of what was stored is refused like a conflict."""
        answer = await self._publish(new)
        if answer and answer.seq and not answer.duplicate:
            return answer.seq
        history = await self._history(new[-1].filter)
        if stored := last_of({entry.id for entry in new}, history):
            return stored
        if answer and answer.err_code in WRONG_LAST_SEQUENCE:
            raise Conflict(new[-1].filter)
        if answer and answer.error and answer.err_code not in WORTH_RETRYING:
            raise RuntimeError(f"JetStream refuses: {answer.error.description}")
        raise Unavailable("the ledger did not acknowledge")

    async def _publish(self, new: Sequence[Entry]) -> Answer | None:
        """None when no answer came: it may be stored or not."""
        try:
            if len(new) == 1:
                return await publish(self._client, new[0].subject, new[0].payload, _headers(new[0]))
            async with self._batches:
                return await self._publish_batch(new)
        except Unavailable:
            return None

    async def _publish_batch(self, new: Sequence[Entry]) -> Answer:
        """All or nothing; only the last message is answered."""
        batch = uuid4().hex
        *first, last = [
            _headers(entry) | {Header.BATCH_ID: batch, Header.BATCH_SEQUENCE: str(number)}
            for number, entry in enumerate(new, start=1)
        ]
        must_be_connected(self._client)
        with reaching(self._client, new[0].subject):
            for entry, headers in zip(new, first, strict=False):
                await self._client.publish(entry.subject, entry.payload, headers=headers)
        commit = last | {Header.BATCH_COMMIT: "1"}
        return await publish(self._client, new[-1].subject, new[-1].payload, commit)

    # Reading

    async def _history(self, subjects: str) -> list[Recorded]:
        return [decode(*each) async for each in self._stored(subjects, after=0)]

    async def _stored(self, subjects: str, after: int) -> AsyncGenerator[Stored, None]:
        more = True
        while more:
            chunk, more = await patiently(partial(self._chunk, subjects, after + 1))
            for each in chunk:
                yield each
                after = each.sequence

    async def _chunk(self, subjects: str, first: int) -> tuple[list[Stored], bool]:
        """Events from sequence `first` on, and whether there are more: one batched direct get."""
        arrived: list[Msg] = []
        complete = Signal()

        async def arrive(message: Msg) -> None:
            arrived.append(message)
            if _header(message, "Status"):
                complete.set()

        wish = {
            "batch": CHUNK_EVENTS,
            "max_bytes": CHUNK_BYTES,
            "seq": first,
            "next_by_subj": subjects,
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

    # Following

    async def _caught_up(self, after: int) -> AsyncGenerator[Recorded, None]:
        try:
            async for recorded in self.read(after):
                yield recorded
        except Unavailable as error:
            self._endure(error, after)

    async def _live(self, after: int) -> AsyncGenerator[Recorded, None]:
        """New events as they come; ends when anything is wrong, such as a gap."""
        try:
            consumer = await self._tail(after + 1)
            async with aclosing(pull(self._client, LEDGER, consumer, CHUNK_EVENTS)) as messages:
                async for message in messages:
                    after += 1
                    if message.metadata.sequence.stream != after:
                        return
                    yield decode(after, message.data)
        except Unavailable as error:
            self._endure(error, after)

    async def _tail(self, first: int) -> str:
        """A consumer in the server's memory that remembers nothing and goes when nobody pulls."""
        config = ConsumerConfig(
            name=f"tail-{uuid4().hex}",
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            ack_policy=AckPolicy.NONE,
            max_deliver=-1,
            mem_storage=True,
            inactive_threshold=TAIL_IDLE_SECONDS_MAX,
        )
        with reaching(self._client):
            return (await jetstream(self._client).add_consumer(LEDGER, config)).name

    def _endure(self, error: Unavailable, position: int) -> None:
        if self._client.is_closed:
            raise error
        if self._client.is_connected:
            log.warning("the ledger does not answer; following on from sequence %d", position)


def _subjects(aggregate: str | None) -> str:
    return f"{SUBJECT_ROOT}.*.{aggregate}.>" if aggregate else f"{SUBJECT_ROOT}.>"


def _headers(entry: Entry) -> dict[str, str]:
    headers = {
        "content-type": CONTENT_TYPE,
        Header.MSG_ID: str(entry.id),
        Header.EXPECTED_STREAM: LEDGER,
    }
    if entry.guards:
        headers[Header.EXPECTED_LAST_SUBJECT_SEQUENCE] = str(entry.expected)
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = entry.filter
    return headers


def _header(message: Msg, name: str) -> str:
    return (message.headers or {}).get(name, "")


def _parsed(arrived: Sequence[Msg]) -> tuple[list[Stored], bool]:
    """Raises Unavailable when the answer is not whole."""
    *messages, end = arrived
    status = _header(end, "Status")
    if status == NOT_FOUND:
        return [], False
    chunk = [Stored(int(_header(each, "Nats-Sequence")), each.data) for each in messages]
    last = str(chunk[-1].sequence) if chunk else ""
    if status != END_OF_BATCH or _header(end, "Nats-Last-Sequence") != last:
        raise Unavailable(f"the ledger's answer broke off: {status}")
    return chunk, _header(end, "Nats-Num-Pending") != "0"
