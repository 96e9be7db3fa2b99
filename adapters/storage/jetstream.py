"""The ledger on JetStream: append with lost acknowledgements resolved, load, read and follow."""

from asyncio import Semaphore, create_task, get_running_loop, sleep
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from logging import getLogger
from uuid import UUID, uuid4

from msgspec import json
from nats.aio.client import Client

from adapters.storage import nats_connection
from adapters.storage.commits import EVENTS_MAX, Entry, check_chain, entries, last_of
from adapters.storage.group_commit import GroupCommit
from adapters.storage.histories import Histories
from adapters.storage.nats_connection import (
    PAUSE_SECONDS,
    Answer,
    manage,
    patiently,
)
from adapters.storage.replay import Stored, replay
from adapters.storage.streams import LEDGER, LEDGER_ID, LEDGER_ORIGIN
from adapters.storage.wire import answer_in, wire_beside
from adapters.storage.wire_protocol import encoded_headers, publishing
from commands.ports import Commit, Conflict, Damaged, Head, Unavailable
from domain.events import CONTENT_TYPE, Recorded, Request, decode
from domain.identity import SUBJECT_ROOT, subject_filter

BATCHES_OPEN_MAX = 8
COMMITS_PER_STEP = 16

CONTENT_TYPE_HEADER = "content-type"
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_STREAM = "Nats-Expected-Stream"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SEQUENCE_OF = "Nats-Expected-Last-Subject-Sequence-Subject"
BATCH_ID, BATCH_SEQUENCE, BATCH_COMMIT = (
    "Nats-Batch-Id",
    "Nats-Batch-Sequence",
    "Nats-Batch-Commit",
)

WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
INCOMPLETE_BATCH, DUPLICATE_IN_BATCH, DUPLICATE_IN_PROCESS = 10176, 10201, 10158
WORTH_RETRYING = frozenset({INCOMPLETE_BATCH, DUPLICATE_IN_BATCH, DUPLICATE_IN_PROCESS})
NO_MESSAGE = 404

log = getLogger(__name__)


class JetStreamLedger:
    """Implements `commands.ports.Ledger`. It must be the only publisher to `ictus.ev.>`."""

    def __init__(self, client: Client) -> None:
        self._client, self._wire = client, wire_beside(client)
        self._histories = Histories(self._wire, LEDGER)
        self._group = GroupCommit(self._publish)
        self._batches = Semaphore(BATCHES_OPEN_MAX)

    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        return await self._appended(entries(request, commits))

    async def append_many(self, writes: Iterable[tuple[Request, Commit]]) -> int:
        """Imports: each commit whole, as `append` does, but up to 1000 events per sync of the disk.

        Returns the last one's sequence. What broke off may be repeated from its beginning.
        """
        storing = create_task(sleep(0, 0))
        try:
            async with aclosing(_batches(writes)) as batches:
                async for batch in batches:
                    await storing
                    storing = create_task(self._store_batch(batch))
        finally:
            sequence = await storing
        return sequence

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        """Raises Damaged when the chain of hashes is broken."""
        history = await self._histories.of(subject_filter(aggregate, aggregate_id))
        check_chain(history)
        return history

    async def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        head = await self._checked(after)
        pieces = self._some(aggregate, after, head) if aggregate else self._all(after, head)
        async with aclosing(pieces):
            async for piece in pieces:
                for sequence, payload in piece:
                    yield decode(sequence, payload)

    async def stored(self, after: int = 0) -> AsyncIterator[list[Stored]]:
        head = await self._checked(after)
        async with aclosing(self._all(after, head)) as pieces:
            async for piece in pieces:
                yield piece

    async def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        """Whatever goes wrong on the way is healed by beginning anew, checked, from there on."""
        while True:
            try:
                await self._checked(after)
                async with aclosing(replay(self._client, LEDGER, after)) as pieces:
                    async for piece in pieces:
                        for after, payload in piece:
                            yield decode(after, payload)
            except Unavailable as error:
                self._endure(error, after)
            await sleep(PAUSE_SECONDS)

    async def head(self) -> Head:
        info = await manage(self._client, lambda js: js.stream_info(LEDGER))
        metadata = info.config.metadata or {}
        return Head(UUID(metadata[LEDGER_ID]), metadata[LEDGER_ORIGIN], info.state.last_seq)

    # Appending

    async def _appended(self, new: Sequence[Entry]) -> int:
        return await patiently(partial(self._append, new))

    async def _append(self, new: Sequence[Entry]) -> int:
        """Without a clear yes, what the ledger holds decides: no answer says nothing, and a retry
        of what was stored is refused like a conflict."""
        answer = await (self._publish(new) if len(new) > 1 else self._group.store(new[0]))
        if answer and answer.seq and not answer.duplicate:
            return answer.seq
        history = await self._histories.of(new[-1].filter)
        if stored := last_of({entry.id for entry in new}, history):
            return stored
        if answer and answer.err_code in WRONG_LAST_SEQUENCE:
            raise Conflict(new[-1].filter)
        if answer and answer.error and answer.err_code not in WORTH_RETRYING:
            raise RuntimeError(f"JetStream refuses: {answer.error.description}")
        raise Unavailable("the ledger did not acknowledge")

    async def _store_batch(self, commits: Sequence[Sequence[Entry]]) -> int:
        """If the batch is not taken whole, every commit fights for itself."""
        answer = await self._publish([entry for commit in commits for entry in commit])
        if answer and answer.seq and not answer.duplicate:
            return answer.seq
        return max([await self._appended(commit) for commit in commits])

    async def _publish(self, new: Sequence[Entry]) -> Answer | None:
        """None when no answer came: it may be stored or not."""
        try:
            if len(new) == 1:
                (entry,) = new
                headers = encoded_headers(headers_of(entry))
                return await self._wire.publish(entry.subject, entry.payload, headers)
            async with self._batches:
                return await self._publish_batch(new)
        except Unavailable:
            return None

    async def _publish_batch(self, new: Sequence[Entry]) -> Answer:
        """All or nothing; only the last message is answered."""
        batch = uuid4().hex
        session = await self._wire.session()
        *first, (last, commit) = [
            (entry, headers_of(entry) | {BATCH_ID: batch, BATCH_SEQUENCE: str(number)})
            for number, entry in enumerate(new, start=1)
        ]
        session.write(b"".join(_published(entry, headers) for entry, headers in first))
        await session.drained()
        headers = encoded_headers(commit | {BATCH_COMMIT: "1"})
        return answer_in(await session.request(last.subject, last.payload, headers))

    # Reading

    async def _checked(self, after: int) -> int:
        """The head. Raises Damaged unless there is what `after` promises, and something behind it
        if the ledger goes on."""
        head = (await self.head()).sequence
        if after > head:
            raise Damaged(f"the ledger ends at sequence {head}, before {after}")
        if after < head:
            await patiently(partial(self._must_hold, after + 1))
        return head

    async def _must_hold(self, sequence: int) -> None:
        """Asks the leader: a replica may lag behind."""
        session = await self._wire.session()
        wish = json.encode({"seq": sequence})
        answer = answer_in(await session.request(f"$JS.API.STREAM.MSG.GET.{LEDGER}", wish))
        if answer.error and answer.error.code == NO_MESSAGE:
            raise Damaged(f"the ledger has no event with sequence {sequence}")

    async def _all(self, after: int, head: int) -> AsyncGenerator[list[Stored], None]:
        """Begins anew when the reading breaks off; gives up when nothing came for some time."""
        clock = get_running_loop().time
        since = clock()
        while after < head:
            try:
                async with aclosing(replay(self._client, LEDGER, after)) as pieces:
                    async for piece in pieces:
                        after, since = piece[-1][0], clock()
                        yield piece[: len(piece) - max(0, after - head)]
                        if after >= head:
                            return
                await self._checked(after)
            except Unavailable:
                if clock() > since + nats_connection.PATIENCE_SECONDS:
                    raise
            await sleep(PAUSE_SECONDS)

    async def _some(
        self, aggregate: str, after: int, head: int
    ) -> AsyncGenerator[list[Stored], None]:
        """One kind of aggregate, which may be rare: found by the server."""
        subjects = f"{SUBJECT_ROOT}.*.{aggregate}.>"
        async with aclosing(self._histories.pieces(subjects, after + 1)) as pieces:
            async for piece in pieces:
                yield [each for each in piece if each[0] <= head]
                if piece[-1][0] >= head:
                    return

    def _endure(self, error: Unavailable, position: int) -> None:
        if self._client.is_closed:
            raise error
        if self._client.is_connected:
            log.warning("the ledger does not answer; following on from sequence %d", position)


async def _batches(
    writes: Iterable[tuple[Request, Commit]],
) -> AsyncGenerator[list[list[Entry]], None]:
    """Whole commits, in order, one per aggregate and EVENTS_MAX events at most in each batch.

    Made in small steps, so that the batch before is sent meanwhile.
    """
    batch: list[list[Entry]] = []
    aggregates: set[str] = set()
    size = 0
    for number, (request, commit) in enumerate(writes):
        if number % COMMITS_PER_STEP == 0:
            await sleep(0)
        new = entries(request, [commit])
        if size + len(new) > EVENTS_MAX or new[0].filter in aggregates:
            yield batch
            batch, aggregates, size = [], set(), 0
        batch.append(new)
        aggregates.add(new[0].filter)
        size += len(new)
    if batch:
        yield batch


def headers_of(entry: Entry) -> dict[str, str]:
    headers = {
        CONTENT_TYPE_HEADER: CONTENT_TYPE,
        MESSAGE_ID: str(entry.id),
        EXPECTED_STREAM: LEDGER,
    }
    if entry.guards:
        headers[EXPECTED_SEQUENCE] = str(entry.expected)
        headers[EXPECTED_SEQUENCE_OF] = entry.filter
    return headers


def _published(entry: Entry, headers: dict[str, str]) -> bytes:
    return publishing(entry.subject, entry.payload, encoded_headers(headers))
