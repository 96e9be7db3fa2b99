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
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import BadRequestError

from adapters.eventsourcing.direct import get_many, get_one, header
from adapters.storage.nats_connection import (
    PAUSE_SECONDS,
    Answer,
    ask,
    jetstream,
    must_be_connected,
    patiently,
    publish,
    reaching,
)
from adapters.storage.pull import pull
from adapters.storage.streams import LEDGER, MESSAGE_BYTES_MAX, STREAMS
from commands.ports import Unavailable

BATCH_MESSAGES_MAX = 1000
BATCHES_OPEN_MAX = 8
CHUNK_MESSAGES = 500
CHUNK_BYTES = 8 * 1024 * 1024
FOLLOWER_IDLE_SECONDS_MAX = 60.0

MESSAGE_TOO_LARGE = 10054
WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
WORTH_RETRYING = frozenset({10176})


class Message(NamedTuple):
    """On its way: the last sequence under its subject must be `expected`, 0 for none at all."""

    subject: str
    payload: bytes
    expected: int = 0


class Stored(NamedTuple):
    sequence: int
    subject: str
    payload: bytes


class SubjectPage(Struct, frozen=True):
    """The part of STREAM.INFO that names subjects: `total` of them, over several pages."""

    class State(Struct, frozen=True):
        subjects: dict[str, int] = {}

    state: State = State()
    total: int = 0


class EventStream:
    """Every call raises Unavailable when NATS stays away, and PermissionError."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self._client = client
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
        try:
            with reaching(self._client):
                await jetstream(self._client).add_stream(wanted)
        except BadRequestError as error:
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
            stored = await self._next(message.subject, message.expected)
            if stored and stored.payload != message.payload:
                raise IntegrityError(f"{message.subject} is recorded already")
            if stored and message is messages[-1]:
                return stored.sequence
        return None

    async def _publish(self, messages: Sequence[Message]) -> Answer | None:
        """None when no answer came: it may be stored or not."""
        with suppress(Unavailable):
            if len(messages) == 1:
                (message,) = messages
                return await publish(
                    self._client, message.subject, message.payload, _guard(message)
                )
            async with self._batches:
                return await self._publish_batch(messages)
        return None

    async def _publish_batch(self, messages: Sequence[Message]) -> Answer:
        """Only the last one is answered."""
        batch = uuid4().hex
        *first, last = [
            _guard(message) | {Header.BATCH_ID: batch, Header.BATCH_SEQUENCE: str(number)}
            for number, message in enumerate(messages, start=1)
        ]
        must_be_connected(self._client)
        with reaching(self._client, messages[0].subject):
            for message, headers in zip(messages, first, strict=False):
                await self._client.publish(message.subject, message.payload, headers=headers)
        commit = last | {Header.BATCH_COMMIT: "1"}
        return await publish(self._client, messages[-1].subject, messages[-1].payload, commit)

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
                first = stored.sequence + 1

    async def at(self, subjects: Sequence[str]) -> list[Stored]:
        """What is stored at these subjects, each a whole one."""
        found: list[Stored] = []
        for start in range(0, len(subjects), CHUNK_MESSAGES):
            wanted = subjects[start : start + CHUNK_MESSAGES]
            wish = {"multi_last": wanted, "batch": len(wanted), "max_bytes": CHUNK_BYTES}
            found += (await patiently(partial(self._many, wish)))[0]
        return found

    async def subjects(self, matching: str) -> list[str]:
        """Those in use, in no order."""
        found: dict[str, int] = {}
        while True:
            page = await patiently(partial(self._subject_page, matching, len(found)))
            found |= page.state.subjects
            if not page.state.subjects or len(found) >= page.total:
                return list(found)

    async def follow(self, subjects: str, after: int) -> AsyncGenerator[Stored, None]:
        """Everything after this sequence, then waits for more, for ever; survives restarts."""
        while True:
            try:
                async with aclosing(self._live(subjects, after)) as messages:
                    async for stored in messages:
                        after = stored.sequence
                        yield stored
            except Unavailable:
                if self._client.is_closed:
                    raise
            await sleep(PAUSE_SECONDS)

    async def _live(self, subjects: str, after: int) -> AsyncGenerator[Stored, None]:
        """Ends when anything is wrong, such as a gap."""
        consumer = await self._consumer(subjects, after + 1)
        expected = 1
        async with aclosing(pull(self._client, self.name, consumer, CHUNK_MESSAGES)) as messages:
            async for message in messages:
                sequence = message.metadata.sequence
                if sequence.consumer != expected:
                    return
                expected += 1
                yield Stored(sequence.stream, message.subject, message.data)

    async def _consumer(self, subjects: str, first: int) -> str:
        """It lives in the server's memory, remembers nothing and goes when nobody pulls."""
        config = ConsumerConfig(
            name=f"follow-{uuid4().hex}",
            filter_subject=subjects,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            ack_policy=AckPolicy.NONE,
            max_deliver=-1,
            mem_storage=True,
            inactive_threshold=FOLLOWER_IDLE_SECONDS_MAX,
        )
        must_be_connected(self._client)
        with reaching(self._client):
            return (await jetstream(self._client).add_consumer(self.name, config)).name

    async def _next(self, subjects: str, after: int) -> Stored | None:
        return await self._one({"seq": after + 1, "next_by_subj": subjects})

    async def _one(self, wish: dict[str, Any]) -> Stored | None:
        message = await get_one(self._client, self.name, wish)
        return _stored(message) if message else None

    async def _many(self, wish: dict[str, Any]) -> tuple[list[Stored], bool]:
        messages, more = await get_many(self._client, self.name, wish)
        return [_stored(message) for message in messages], more

    async def _subject_page(self, matching: str, offset: int) -> SubjectPage:
        wish = json.encode({"subjects_filter": matching, "offset": offset})
        answer = await ask(self._client, f"$JS.API.STREAM.INFO.{self.name}", wish)
        return json.decode(answer.data, type=SubjectPage)


def _guard(message: Message) -> dict[str, str]:
    return {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: str(message.expected)}


def _stored(message: Msg) -> Stored:
    sequence, subject = header(message, "Nats-Sequence"), header(message, "Nats-Subject")
    return Stored(int(sequence), subject, message.data)
