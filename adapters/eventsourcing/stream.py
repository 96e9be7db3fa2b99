"""One application's stream: inserts that are all or nothing, reads, and what comes next."""

from asyncio import Semaphore, sleep
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
)
from msgspec import Struct, json
from nats.aio.client import Client
from nats.js.errors import APIError

from adapters.storage.jetstream import (
    BATCH_COMMIT,
    BATCH_ID,
    BATCH_SEQUENCE,
    EXPECTED_SEQUENCE,
    WRONG_LAST_SEQUENCE,
)
from adapters.storage.nats_connection import (
    PAUSE_SECONDS,
    Answer,
    jetstream,
    must_be_connected,
    patiently,
    reaching,
)
from adapters.storage.replay import Stored, replay
from adapters.storage.streams import LEDGER, MESSAGE_BYTES_MAX, STREAMS
from adapters.storage.wire import answer_in, wire_beside
from adapters.storage.wire_protocol import Frame, encoded_headers, header, publishing, status
from commands.ports import Unavailable

BATCH_MESSAGES_MAX = 1000
BATCHES_OPEN_MAX = 8
CHUNK_MESSAGES = 500
CHUNK_BYTES = 8 * 1024 * 1024

MESSAGE_TOO_LARGE = 10054
WORTH_RETRYING = frozenset({10176})
END_OF_BATCH, NOT_FOUND = b"204", b"404"


class Message(NamedTuple):
    """On its way: the last sequence under its subject must be `expected`, 0 for none at all."""

    subject: str
    payload: bytes
    expected: int = 0


class SubjectPage(Struct, frozen=True):
    """The part of STREAM.INFO that names subjects: `total` of them, over several pages."""

    class State(Struct, frozen=True):
        subjects: dict[str, int] | None = None

    state: State
    total: int = 0


class EventStream:
    """Every call raises Unavailable when NATS stays away."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client, self._wire = client, wire_beside(client)
        self._batches = Semaphore(BATCHES_OPEN_MAX)

    async def provision(self, subjects: str, replicas: int) -> None:
        """As durable as the ledger. Raises OperationalError if it exists and differs."""
        ledger = next(config for config in STREAMS if config.name == LEDGER)
        wanted = ledger.evolve(
            name=self.name,
            subjects=[subjects],
            num_replicas=replicas,
            max_msg_size=MESSAGE_BYTES_MAX,
        )
        must_be_connected(self._client)
        with reaching(self._client):
            try:
                await jetstream(self._client).add_stream(wanted)
            except APIError as error:
                raise OperationalError(f"stream {self.name}: {error.description}") from error

    # Writing

    async def insert(self, messages: Sequence[Message]) -> int:
        """Stores all or none and returns the last one's sequence.

        Raises IntegrityError when an expectation fails, DataError, NotSupportedError.
        """
        if len(messages) > BATCH_MESSAGES_MAX:
            raise NotSupportedError(f"{len(messages)} at once, at most {BATCH_MESSAGES_MAX}")
        if len({message.subject for message in messages}) < len(messages):
            raise IntegrityError("the same version twice")
        return await patiently(partial(self._insert, messages))

    async def _insert(self, messages: Sequence[Message]) -> int:
        """Without a clear yes, what is stored decides: no answer says nothing, and a retry of what
        was stored is refused like a conflict."""
        answer = await self._publish(messages)
        if answer and answer.seq:
            return answer.seq
        if sequence := await self._found(messages):
            return sequence
        if answer and answer.err_code == MESSAGE_TOO_LARGE:
            raise DataError("too large for the stream")
        if answer and answer.error and answer.err_code not in WRONG_LAST_SEQUENCE | WORTH_RETRYING:
            raise OperationalError(f"JetStream refuses: {answer.error.description}")
        raise Unavailable("JetStream did not acknowledge")

    async def _found(self, messages: Sequence[Message]) -> int | None:
        """The sequence of the last one if they were stored, None if nothing is where they belong.

        Raises IntegrityError when something else is there.
        """
        for message in reversed(messages):
            wish = {"seq": message.expected + 1, "next_by_subj": message.subject}
            stored = await self._one(wish)
            if stored and stored[1] != message.payload:
                raise IntegrityError(f"{message.subject} is recorded already")
            if stored and message is messages[-1]:
                return stored[0]
        return None

    async def _publish(self, messages: Sequence[Message]) -> Answer | None:
        """None when no answer came: it may be stored or not."""
        with suppress(Unavailable):
            if len(messages) == 1:
                (message,) = messages
                headers = encoded_headers(_guard(message))
                return await self._wire.publish(message.subject, message.payload, headers)
            async with self._batches:
                return await self._publish_batch(messages)
        return None

    async def _publish_batch(self, messages: Sequence[Message]) -> Answer:
        """Only the last one is answered."""
        batch = uuid4().hex
        session = await self._wire.session()
        *first, (last, commit) = [
            (
                message,
                _guard(message) | {BATCH_ID: batch, BATCH_SEQUENCE: str(number)},
            )
            for number, message in enumerate(messages, start=1)
        ]
        session.write(b"".join(_published(message, headers) for message, headers in first))
        await session.drained()
        headers = encoded_headers(commit | {BATCH_COMMIT: "1"})
        return answer_in(await session.request(last.subject, last.payload, headers))

    # Reading

    async def last(self, subjects: str) -> Stored | None:
        return await patiently(partial(self._one, {"last_by_subj": subjects}))

    async def read(
        self, subjects: str, first: int = 1, chunk: int = CHUNK_MESSAGES
    ) -> AsyncGenerator[Stored, None]:
        """From sequence `first` to the end, asking for `chunk` messages at a time."""
        more = True
        while more:
            wish = {
                "seq": first,
                "next_by_subj": subjects,
                "batch": min(chunk, CHUNK_MESSAGES),
                "max_bytes": CHUNK_BYTES,
            }
            found, more = await patiently(partial(self._many, wish))
            for stored in found:
                yield stored
                first = stored[0] + 1

    async def at(self, subjects: Sequence[str]) -> list[Stored]:
        """What is stored at these subjects, each a whole one."""
        found: list[Stored] = []
        while subjects:
            wanted, subjects = subjects[:CHUNK_MESSAGES], subjects[CHUNK_MESSAGES:]
            wish = {"multi_last": wanted, "batch": len(wanted), "max_bytes": CHUNK_BYTES}
            chunk, _ = await patiently(partial(self._many, wish))
            found += chunk
        return found

    async def subjects(self, matching: str) -> list[str]:
        """Those in use, in no order."""
        found: dict[str, int] = {}
        while True:
            page = await patiently(partial(self._subject_page, matching, len(found)))
            found |= page.state.subjects or {}
            if not page.state.subjects or len(found) >= page.total:
                return list(found)

    async def follow(self, after: int) -> AsyncGenerator[list[Stored], None]:
        """All that lies after this sequence, some at a time, then waits for more, for ever."""
        while True:
            try:
                async with aclosing(replay(self._client, self.name, after)) as pieces:
                    async for piece in pieces:
                        yield piece
                        after = piece[-1][0]
            except Unavailable:
                if self._client.is_closed:
                    raise
            await sleep(PAUSE_SECONDS)

    async def _one(self, wish: dict[str, Any]) -> Stored | None:
        session = await self._wire.session()
        return _stored(await session.request(self._api("DIRECT.GET"), json.encode(wish)))

    async def _many(self, wish: dict[str, Any]) -> tuple[list[Stored], bool]:
        """One batched direct get, and whether there is more."""
        session = await self._wire.session()
        return _whole(await session.request_many(self._api("DIRECT.GET"), json.encode(wish)))

    async def _subject_page(self, matching: str, offset: int) -> SubjectPage:
        session = await self._wire.session()
        wish = json.encode({"subjects_filter": matching, "offset": offset})
        _, _, _, info = await session.request(self._api("STREAM.INFO"), wish)
        return json.decode(info, type=SubjectPage)

    def _api(self, name: str) -> str:
        return f"$JS.API.{name}.{self.name}"


def _guard(message: Message) -> dict[str, str]:
    return {EXPECTED_SEQUENCE: str(message.expected)}


def _published(message: Message, headers: dict[str, str]) -> bytes:
    return publishing(message.subject, message.payload, encoded_headers(headers))


def _stored(frame: Frame) -> Stored | None:
    """Raises Unavailable when the answer is neither a message nor that there is none."""
    _, _, headers, payload = frame
    if sequence := header(headers, b"Nats-Sequence"):
        return int(sequence), payload
    if status(headers) == NOT_FOUND:
        return None
    raise Unavailable(f"JetStream: {status(headers).decode()}")


def _whole(frames: list[Frame]) -> tuple[list[Stored], bool]:
    """Raises Unavailable when the answer broke off."""
    *messages, (_, _, end, _) = frames
    if status(end) == NOT_FOUND:
        return [], False
    stored = [(int(header(each[2], b"Nats-Sequence")), each[3]) for each in messages]
    last = b"%d" % stored[-1][0] if stored else b""
    if status(end) != END_OF_BATCH or header(end, b"Nats-Last-Sequence") != last:
        raise Unavailable(f"the answer broke off: {status(end).decode()}")
    return stored, header(end, b"Nats-Num-Pending") != b"0"
