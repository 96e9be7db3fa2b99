"""The ledger's stream as the witness needs it: the messages themselves, decoded by nobody."""

from collections.abc import AsyncIterator
from hashlib import sha256
from typing import NamedTuple, Protocol

from commands.ports import Head


class Stored(NamedTuple):
    """A message as the stream holds it; `id` is its Nats-Msg-Id, "" if it has none."""

    sequence: int
    subject: str
    id: str
    payload: bytes

    @property
    def hash(self) -> bytes:
        """SHA-256 of the payload: the entry of the witness's log."""
        return sha256(self.payload).digest()


class Stream(Protocol):
    """Raises Unavailable."""

    async def head(self) -> Head: ...

    def read(self, first: int, last: int) -> AsyncIterator[Stored]:
        """The messages from sequence `first` to `last`, in order. One that the stream has lost is
        left out without a word: that is for the caller to see."""
        ...

    async def durables(self) -> dict[str, int]:
        """Each durable consumer's name, and the sequence up to which it has acknowledged all."""
        ...
