"""The in-memory twins of ledger, queues, slots, vault and objects: held to the same contracts."""

from asyncio import Event as Signal, TimerHandle, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from secrets import token_bytes
from typing import NamedTuple
from uuid import UUID, uuid4

from adapters.storage.blobs import checked_key, checked_prefix
from adapters.storage.commits import check_chain, entries, last_of
from adapters.storage.queue import ACK_WAIT_SECONDS
from adapters.storage.streams import LEDGER, STREAMS
from adapters.storage.vault import KEY_BYTES, KeyVault
from commands.ports import Commit, Conflict, Damaged, Head, Missing, Unavailable
from domain.events import Recorded, Request, decode
from domain.identity import subject_filter


class Stored(NamedTuple):
    sequence: int
    subject: str
    data: bytes


class Log:
    """Messages in order, whose readers can wait for more."""

    def __init__(self) -> None:
        self._stored: list[Stored] = []
        self._changed = Signal()

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, subject: str, data: bytes) -> int:
        self._stored.append(Stored(len(self._stored) + 1, subject, data))
        self.wake()
        return len(self._stored)

    def after(self, sequence: int) -> Iterator[Stored]:
        return (self._stored[at] for at in range(sequence, len(self._stored)))

    async def changed(self) -> None:
        await self._changed.wait()

    def wake(self) -> None:
        self._changed.set()
        self._changed = Signal()


class MemoryLedger:
    """Implements `commands.ports.Ledger`; `log` is its stream."""

    def __init__(self, origin: str = "demo") -> None:
        self.log = Log()
        self._head = Head(uuid4(), origin, 0)
        self._aggregates: dict[str, list[Recorded]] = {}

    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        new = entries(request, commits)
        if stored := last_of({entry.id for entry in new}, self._history(new[-1].filter)):
            return stored
        for entry in new:
            if entry.guards and self._last(entry.filter) != entry.expected:
                raise Conflict(entry.filter)
        for entry in new:
            recorded = decode(self.log.add(entry.subject, entry.payload), entry.payload)
            self._aggregates.setdefault(entry.filter, []).append(recorded)
        return len(self.log)

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        history = list(self._history(subject_filter(aggregate, aggregate_id)))
        check_chain(history)
        return history

    async def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        if after > len(self.log):
            raise Damaged(f"the ledger ends at sequence {len(self.log)}, before {after}")
        for stored in list(self.log.after(after)):
            recorded = decode(stored.sequence, stored.data)
            if aggregate in (None, recorded.aggregate):
                yield recorded

    async def stored(self, after: int = 0) -> AsyncIterator[list[tuple[int, bytes]]]:
        if after > len(self.log):
            raise Damaged(f"the ledger ends at sequence {len(self.log)}, before {after}")
        if found := [(each.sequence, each.data) for each in self.log.after(after)]:
            yield found

    async def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        while True:
            async for recorded in self.read(after):
                after = recorded.sequence
                yield recorded
            if after == len(self.log):
                await self.log.changed()

    async def head(self) -> Head:
        return Head(self._head.ledger, self._head.origin, len(self.log))

    def _history(self, aggregate: str) -> list[Recorded]:
        return self._aggregates.get(aggregate, [])

    def _last(self, aggregate: str) -> int:
        return max((recorded.sequence for recorded in self._history(aggregate)), default=0)


class MemoryQueue:
    """Implements `commands.ports.Queue`; with a ledger its events are consumed like a stream's."""

    def __init__(
        self, ledger: MemoryLedger | None = None, ack_wait_s: float = ACK_WAIT_SECONDS
    ) -> None:
        self._logs = {stream.name: Log() for stream in STREAMS}
        if ledger:
            self._logs[LEDGER] = ledger.log
        self._ack_wait_s = ack_wait_s
        self._seen: set[tuple[str, str]] = set()
        self._timers: dict[str, TimerHandle] = {}
        self._consumers: dict[tuple[str, str], Consumer] = {}

    async def publish(self, subject: str, data: bytes, *, message_id: str) -> None:
        stream = _stream_of(subject)
        if (stream, message_id) not in self._seen:
            self._seen.add((stream, message_id))
            self._logs[stream].add(subject, data)

    async def schedule(self, name: str, delay_s: float, target: str, data: bytes) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        log = self._logs[_stream_of(target)]
        self._timers[name] = get_running_loop().call_later(delay_s, log.add, target, data)

    async def latest(self, stream: str, subject: str) -> bytes | None:
        found = [stored.data for stored in self._logs[stream].after(0) if stored.subject == subject]
        return found[-1] if found else None

    async def backlog(self, stream: str, durable: str) -> int:
        consumer = self._consumers.get((stream, durable))
        return consumer.backlog() if consumer else 0

    async def consume(
        self,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        room: Callable[[], int] = lambda: 1,
    ) -> AsyncIterator["MemoryDelivery"]:
        log = self._logs[stream]
        consumer = self._consumers.setdefault(
            (stream, durable), Consumer(log, subjects, self._ack_wait_s)
        )
        while True:
            if delivery := consumer.next():
                yield delivery
            else:
                await log.changed()


class Consumer:
    """A durable place in a log, and what was delivered but not acknowledged."""

    def __init__(self, log: Log, subjects: Sequence[str], ack_wait_s: float) -> None:
        self.ack_wait_s = ack_wait_s
        self._log = log
        self._subjects = subjects
        self._position = 0
        self._again: deque[MemoryDelivery] = deque()
        self._undone: set[int] = set()

    def next(self) -> "MemoryDelivery | None":
        delivery = self._again.popleft() if self._again else self._next_new()
        if delivery:
            delivery.begin()
        return delivery

    def deliver_again(self, delivery: "MemoryDelivery") -> None:
        self._again.append(delivery)
        self._log.wake()

    def done(self, delivery: "MemoryDelivery") -> None:
        self._undone.discard(delivery.sequence)

    def backlog(self) -> int:
        return len(self._undone) + sum(map(self._wants, self._log.after(self._position)))

    def _next_new(self) -> "MemoryDelivery | None":
        for stored in self._log.after(self._position):
            self._position = stored.sequence
            if self._wants(stored):
                self._undone.add(stored.sequence)
                return MemoryDelivery(self, stored)
        return None

    def _wants(self, stored: Stored) -> bool:
        return any(_matches(pattern, stored.subject) for pattern in self._subjects)


class MemoryDelivery:
    """Implements `commands.ports.Message`."""

    def __init__(self, consumer: Consumer, stored: Stored) -> None:
        self.sequence, self.subject, self.data = stored
        self.deliveries = 0
        self._consumer = consumer
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        self.deliveries += 1
        self._again_in(self._consumer.ack_wait_s)

    async def ack(self) -> None:
        self._again_in(None)
        self._consumer.done(self)

    async def retry(self, delay_s: float) -> None:
        self._again_in(delay_s)

    async def working(self) -> None:
        self._again_in(self._consumer.ack_wait_s)

    def _again_in(self, delay_s: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        if delay_s is not None:
            again = self._consumer.deliver_again
            self._timer = get_running_loop().call_later(delay_s, again, self)


class MemorySlots:
    """Implements `commands.ports.Slots`."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    async def claim(self, key: str, value: bytes) -> bool:
        return key not in self._notes and self._notes.setdefault(key, value) is value

    async def put(self, key: str, value: bytes) -> None:
        self._notes[key] = value

    async def get(self, key: str) -> bytes | None:
        return self._notes.get(key)


class MemoryBoard:
    """Implements `commands.ports.Board`."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[bytes, int]] = {}

    async def read(self, key: str) -> tuple[bytes, int]:
        return self._notes.get(key, (b"", 0))

    async def write(self, key: str, note: bytes, version: int) -> bool:
        if (await self.read(key))[1] != version:
            return False
        self._notes[key] = note, version + 1
        return True


class MemoryKeys:
    """Implements `adapters.storage.vault.Keys`."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def create(self, name: str, value: bytes) -> bool:
        return self._values.setdefault(name, value) is value

    async def put(self, name: str, value: bytes) -> None:
        self._values[name] = value

    async def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    async def erase(self, name: str) -> None:
        self._values.pop(name, None)


class MemoryVault(KeyVault):
    """The real cipher over keys in memory."""

    def __init__(self) -> None:
        super().__init__(MemoryKeys(), token_bytes(KEY_BYTES))


class MemoryBlobs:
    """Implements `commands.ports.Blobs`."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        self._objects[checked_key(key)] = data

    async def get(self, key: str) -> bytes:
        if checked_key(key) not in self._objects:
            raise Missing(key)
        return self._objects[key]

    async def exists(self, key: str) -> bool:
        return checked_key(key) in self._objects

    async def delete(self, key: str) -> None:
        self._objects.pop(checked_key(key), None)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in sorted(self._objects):
            if key.startswith(checked_prefix(prefix)):
                yield key


def _stream_of(subject: str) -> str:
    for stream in STREAMS:
        if any(_matches(pattern, subject) for pattern in stream.subjects or ()):
            return stream.name or ""
    raise Unavailable(f"no stream takes {subject}")


def _matches(pattern: str, subject: str) -> bool:
    """NATS wildcards: `*` is one token, a final `>` one or more."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        tokens = tokens[: len(wanted) - 1] + [">"] * (len(tokens) >= len(wanted))
    return len(wanted) == len(tokens) and all(
        want in ("*", token) for want, token in zip(wanted, tokens, strict=True)
    )
