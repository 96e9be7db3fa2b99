"""Group commit: events of different aggregates that are waiting to be stored share one batch.

The server syncs the disk once per message, and once per batch however many messages it has.
"""

from asyncio import Future, Task, create_task, gather, get_running_loop
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from adapters.storage.commits import EVENTS_MAX, Entry
from adapters.storage.nats_connection import Answer

Publish = Callable[[Sequence[Entry]], Awaitable[Answer | None]]
"""Stores all entries or none; None when no answer came."""


class Waiting(NamedTuple):
    entry: Entry
    answer: Future[Answer | None]
