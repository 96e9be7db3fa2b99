"""What commands and workers need from the world, in their own words; adapters provide it.

Unavailable     the world is away for a while: try again
Conflict        somebody else changed the aggregate first: load and decide again
Missing         no such object
TooLarge        the source has it, but it is bigger than ictus takes
Erased          the key was destroyed: what it sealed is gone for ever
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from domain.events import NO_HASH, Event, Recorded, Request
from domain.identity import Instant
from domain.sealed import Sealed


class Unavailable(Exception):
    """A part ictus depends on does not answer; the work is kept and tried again."""


class Conflict(Exception):
    """The aggregate changed between loading and appending."""


class Missing(Exception):
    """There is no such object."""


class TooLarge(Exception):
    """The object is bigger than its limit."""


class Erased(Exception):
    """The key of this case or person was destroyed."""


class Clock(Protocol):
    def now(self) -> Instant: ...


# The ledger


class Commit(Struct, frozen=True):
    """New events of one aggregate, on top of `expected` (its last stream sequence, 0 if none),
    whose payload hashes to `prevhash`. Personal fields are sealed already."""

    aggregate: str
    aggregate_id: UUID
    events: tuple[Event, ...]
    expected: int = 0
    prevhash: str = NO_HASH


class Head(Struct, frozen=True):
    """Where the ledger stands: its identity, what made it (`demo` or `site`), its last sequence."""

    ledger: UUID
    origin: str
    sequence: int


class Ledger(Protocol):
    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        """Stores all events or none and returns the last one's stream sequence, once durable.

        At most one commit per aggregate. Repeating a request that was stored returns the same
        sequence. Raises Conflict, Unavailable.
        """
        ...

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        """All events of one aggregate, oldest first; reads what was appended before the call."""
        ...

    def read(self, after: int = 0, aggregate: str | None = None) -> AsyncIterator[Recorded]:
        """Events with sequence > `after` up to the head at the time of the call, in order.

        `aggregate` keeps one kind only. Raises Unavailable, and Damaged when a sequence is missing
        from an unfiltered read.
        """
        ...

    def stored(self, after: int = 0) -> AsyncIterator[Sequence[tuple[int, bytes]]]:
        """What an unfiltered `read` decodes, (sequence, payload), in pieces as they arrive."""
        ...

    def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        """Like an unfiltered `read`, then waits for more, for ever; survives restarts."""
        ...

    async def head(self) -> Head: ...


class Damaged(Exception):
    """The ledger is not what it was: a gap, a broken chain, or another ledger."""


# Queues of work


class Message(Protocol):
    """One delivery. It comes back until it is acknowledged."""

    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def sequence(self) -> int: ...
    @property
    def deliveries(self) -> int:
        """How often it was delivered, this time included."""
        ...

    async def ack(self) -> None: ...
    async def retry(self, delay_s: float) -> None: ...
    async def working(self) -> None: ...


class Queue(Protocol):
    async def publish(self, subject: str, data: bytes, *, message_id: str) -> None:
        """Durable when it returns; the same `message_id` again is dropped. Raises Unavailable."""
        ...

    async def schedule(self, name: str, delay_s: float, target: str, data: bytes) -> None:
        """Publishes `data` to `target` after the delay; the same `name` again replaces the former."""
        ...

    def consume(
        self,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        room: Callable[[], int] = lambda: 1,
    ) -> AsyncIterator[Message]:
        """Deliveries of a durable consumer, for ever; survives restarts of the server. No more are
        on their way at once than there was `room` for when they were asked for, or one."""
        ...

    async def backlog(self, stream: str, durable: str) -> int:
        """How many deliveries its workers have not done yet; 0 when it has never had a worker."""
        ...

    async def latest(self, stream: str, subject: str) -> bytes | None:
        """The last message that `stream` keeps under this subject."""
        ...


class Slots(Protocol):
    """Small shared notes, for what must not be done twice."""

    async def claim(self, key: str, value: bytes) -> bool:
        """True for the first caller only."""
        ...

    async def put(self, key: str, value: bytes) -> None: ...
    async def get(self, key: str) -> bytes | None: ...


class Board(Protocol):
    """Small shared notes that several change at once."""

    async def read(self, key: str) -> tuple[bytes, int]:
        """The note and its version; nothing and 0 where there is none."""
        ...

    async def write(self, key: str, note: bytes, version: int) -> bool:
        """False when the note is not of that version any more."""
        ...


# Secrets and objects


class Vault(Protocol):
    """Keys by name: `case/<id>`, `person/<id>`. Raises Erased after `destroy`, Unavailable."""

    async def seal(self, key: str, aad: str, text: str) -> Sealed: ...
    async def unseal(self, sealed: Sealed, aad: str) -> str: ...
    async def encrypt(self, key: str, aad: str, data: bytes) -> bytes: ...
    async def decrypt(self, key: str, aad: str, data: bytes) -> bytes: ...
    async def derive(self, *words: str) -> UUID:
        """The id of something outside, under this ledger's id key."""
        ...

    async def check(self) -> None:
        """Raises Missing where the ledger's id key is gone, Damaged where it does not open."""
        ...

    async def destroy(self, key: str) -> None: ...


class Blobs(Protocol):
    """Objects by key (`[A-Za-z0-9._/-]+`). Raises Missing, Unavailable."""

    async def put(self, key: str, data: bytes) -> None: ...
    async def get(self, key: str) -> bytes: ...
    async def exists(self, key: str) -> bool: ...
    async def delete(self, key: str) -> None: ...
    def keys(self, prefix: str) -> AsyncIterator[str]: ...


# The read side


class Db(Protocol):
    """A connection to the read models; asyncpg's has this shape."""

    async def execute(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109  asyncpg's word
    ) -> str: ...
    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[Any]]
    ) -> str:
        """Appends whole rows, much faster than INSERT."""
        ...

    async def executemany(self, query: str, args: Sequence[Sequence[Any]]) -> None: ...
    async def fetch(self, query: str, *args: Any) -> list[Any]: ...
    async def fetchrow(self, query: str, *args: Any) -> Any: ...
    async def fetchval(
        self,
        query: str,
        *args: Any,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any: ...
    def transaction(self) -> Any: ...


class Database(Protocol):
    """Hands out connections; `acquire` raises Unavailable while Postgres is away."""

    def acquire(self) -> AbstractAsyncContextManager[Db]: ...


# Photos and messages


class Photos(Protocol):
    async def fetch(self, address: str) -> bytes:
        """The bytes behind an address such as `telegram:<file id>`.

        Raises Missing when the source no longer has it, TooLarge, Unavailable.
        """
        ...


class Button(Struct, frozen=True):
    label: str
    action: str


class Card(Struct, frozen=True):
    """A message as people see it: text with <b> and <i> only, and rows of buttons."""

    text: str
    rows: tuple[tuple[Button, ...], ...] = ()
