"""Histories of aggregates, read with one question each; those read lately only from their end on."""

from asyncio import sleep
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import suppress
from functools import partial

from msgspec import Struct, json

from adapters.storage.commits import check_chain
from adapters.storage.nats_connection import patiently
from adapters.storage.wire import Wire, answer_in
from adapters.storage.wire_protocol import Frame, header, status
from commands.ports import Damaged, Unavailable
from domain.events import Recorded, decode

CHUNK_EVENTS = 256
CHUNK_BYTES = 8 * 1024 * 1024
KEPT_EVENTS_MAX = 20_000
LAG_PAUSE_SECONDS, LAG_QUESTIONS_MAX = 0.01, 100
END_OF_BATCH, NOT_FOUND, NO_MESSAGE = b"204", b"404", 404
SEQUENCE, LAST, PENDING = b"Nats-Sequence", b"Nats-Last-Sequence", b"Nats-Num-Pending"

Stored = tuple[int, bytes]


class Got(Struct, frozen=True):
    """The needed part of the answer to a MSG.GET."""

    class Message(Struct, frozen=True):
        seq: int

    message: Message


class Histories:
    """Batched direct gets from `stream`. What is kept may be thrown away at any moment."""

    def __init__(self, wire: Wire, stream: str) -> None:
        self._wire, self._subject = wire, f"$JS.API.DIRECT.GET.{stream}"
        self._leader_subject = f"$JS.API.STREAM.MSG.GET.{stream}"
        self._kept: OrderedDict[str, list[Recorded]] = OrderedDict()
        self._kept_events = 0

    async def of(self, subjects: str) -> list[Recorded]:
        """All events under `subjects`, oldest first; kept if their chain holds. Raises Unavailable.

        The answer for a kept history must begin with its last event, byte for byte: that event
        names the hash of the one before and so all of them. If it does not, all are read again.
        """
        kept = self._kept.get(subjects, [])
        first = kept[-1].sequence if kept else 1
        stored = [each async for piece in self.pieces(subjects, first) for each in piece]
        if kept and (not stored or stored[0] != (first, kept[-1].payload)):
            self._forget(subjects)
            return await self.of(subjects)
        history = kept + [decode(*each) for each in stored[1 if kept else 0 :]]
        with suppress(Damaged):
            check_chain(history)
            self._keep(subjects, history)
        return history.copy()

    async def pieces(self, subjects: str, first: int) -> AsyncGenerator[list[Stored], None]:
        """Events under `subjects` from sequence `first` on, some at a time.

        Any replica of a cluster may answer, and it may lag: what the leader had when this was asked
        is waited for.
        """
        last = await patiently(partial(self._leaders_last, subjects))
        more = True
        while more or first <= last:
            piece, more = await patiently(partial(self._caught_up_piece, subjects, first, last))
            if piece:
                first = piece[-1][0] + 1
                yield piece

    async def _caught_up_piece(
        self, subjects: str, first: int, last: int
    ) -> tuple[list[Stored], bool]:
        """Raises Unavailable when a replica lags for too long."""
        for _ in range(LAG_QUESTIONS_MAX):
            piece, more = await self._piece(subjects, first)
            if piece or first > last:
                return piece, more
            await sleep(LAG_PAUSE_SECONDS)
        raise Unavailable("a replica of the ledger lags behind its leader")

    async def _leaders_last(self, subjects: str) -> int:
        """The last sequence under `subjects`; 0 if there is none, and on a server alone, whose
        every answer is the leader's."""
        session = await self._wire.session()
        if not session.clustered:
            return 0
        wish = json.encode({"last_by_subj": subjects})
        frame = await session.request(self._leader_subject, wish)
        error = answer_in(frame).error
        if error and error.code == NO_MESSAGE:
            return 0
        if error:
            raise Unavailable(f"JetStream: {error.description}")
        return json.decode(frame[3], type=Got).message.seq

    async def _piece(self, subjects: str, first: int) -> tuple[list[Stored], bool]:
        """One batched direct get, and whether there is more."""
        wish = {
            "batch": CHUNK_EVENTS,
            "max_bytes": CHUNK_BYTES,
            "seq": first,
            "next_by_subj": subjects,
        }
        session = await self._wire.session()
        return _parsed(await session.request_many(self._subject, json.encode(wish)))

    def _keep(self, subjects: str, history: list[Recorded]) -> None:
        self._forget(subjects)
        self._kept[subjects] = history
        self._kept_events += len(history)
        while self._kept_events > KEPT_EVENTS_MAX:
            self._forget(next(iter(self._kept)))

    def _forget(self, subjects: str) -> None:
        self._kept_events -= len(self._kept.pop(subjects, ()))


def _parsed(frames: list[Frame]) -> tuple[list[Stored], bool]:
    """Raises Unavailable when the answer is not whole: every message names the one before."""
    *messages, (_, _, end, _) = frames
    if status(end) == NOT_FOUND:
        return [], False
    stored: list[Stored] = []
    last = b"0"
    for _, _, headers, payload in messages:
        if header(headers, LAST) == last:
            last = header(headers, SEQUENCE)
            stored.append((int(last), payload))
    if status(end) != END_OF_BATCH or header(end, LAST) != last or len(stored) < len(messages):
        raise Unavailable(f"the ledger's answer broke off: {status(end).decode()}")
    return stored, header(end, PENDING) != b"0"
