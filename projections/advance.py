"""Applies events to versions of read models: exactly once, without a gap, from the right ledger."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from commands.ports import Damaged, Database, Head, Unavailable
from domain.events import Recorded
from projections import cursor as cursors
from projections.cursor import Cursor
from projections.feed import in_batches
from projections.projection import Projection

EVENTS_MAX = 8192
"""In one transaction. What is read ahead is as much again."""


class Poisoned(Exception):
    """A projection cannot apply an event."""

    def __init__(self, cursor: Cursor, recorded: Recorded, error: Exception) -> None:
        self.cursor, self.recorded, self.error = cursor, recorded, error
        super().__init__(
            f"projection {cursor.name} stops before event {recorded.sequence}"
            f" ({recorded.envelope.type} {recorded.id}): {type(error).__name__}: {error}."
            f" The event stays as it is: mend projections/{cursor.name}.py, raise its revision if"
            " other rows come out wrong too, and restart the projector"
        )


class Version(Struct, frozen=True):
    """A version of a read model and how far it has come."""

    projection: Projection
    cursor: Cursor


async def advance(
    versions: Sequence[Version], events: AsyncIterator[Recorded], database: Database
) -> AsyncGenerator[list[Version], None]:
    """Applies `events`, which begin with the one at the cursor that is least far, to all versions.

    Yields them after each batch. Raises Damaged, Unavailable, Poisoned; each version's cursor then
    stands where its rows do.
    """
    now = list(versions)
    expected = max(1, min(version.cursor.sequence for version in now))
    async with aclosing(in_batches(events, EVENTS_MAX)) as batches:
        async for batch in batches:
            for version in now:
                _check(version.cursor, expected, batch)
            expected = batch[-1].sequence + 1
            now = await _together(_applied(version, batch, database) for version in now)
            yield now


def bound(cursor: Cursor, head: Head) -> Cursor:
    """The cursor, bound to this ledger if it was to none; refuses another or a shorter one."""
    if cursor.ledger not in (None, head.ledger):
        raise Damaged(
            f"projection {cursor.name} was made from ledger {cursor.ledger},"
            f" and this is ledger {head.ledger}"
        )
    if cursor.sequence > head.sequence:
        raise Damaged(
            f"projection {cursor.name} stands at event {cursor.sequence},"
            f" and the ledger ends at event {head.sequence}"
        )
    return replace(cursor, ledger=head.ledger)


async def _applied(version: Version, batch: Sequence[Recorded], database: Database) -> Version:
    """In halves, if it cannot be as a whole: what comes before a poisonous event is good."""
    at = version.cursor.sequence
    fresh = batch[max(0, at + 1 - batch[0].sequence) :]
    if not fresh:
        return version
    try:
        return await _committed(version, fresh, database)
    except (Unavailable, Damaged):
        raise
    except Exception as error:
        if len(fresh) == 1:
            raise Poisoned(version.cursor, fresh[0], error) from error
        half = len(fresh) // 2
        version = await _applied(version, fresh[:half], database)
        return await _applied(version, fresh[half:], database)


async def _committed(version: Version, fresh: Sequence[Recorded], database: Database) -> Version:
    async with database.acquire() as db, db.transaction():
        await cursors.enter(db, version.cursor)
        await version.projection.apply(db, fresh)
        return replace(version, cursor=await cursors.move(db, version.cursor, fresh[-1]))


def _check(cursor: Cursor, expected: int, batch: Sequence[Recorded]) -> None:
    """No gap, and the event at the cursor, where it is among them, is the one that was applied."""
    for sequence, recorded in enumerate(batch, expected):
        if recorded.sequence != sequence:
            raise Damaged(
                f"projection {cursor.name} expects event {sequence},"
                f" and the ledger gave event {recorded.sequence}"
            )
    place = cursor.sequence - expected
    if 0 <= place < len(batch) and batch[place].hash != cursor.hash:
        raise Damaged(
            f"event {cursor.sequence} hashed to {cursor.hash} when projection {cursor.name}"
            f" applied it, and in the ledger it hashes to {batch[place].hash}"
        )


async def _together(works: Iterable[Coroutine[Any, Any, Version]]) -> list[Version]:
    """All of them to their end, whatever becomes of one: each is a transaction of its own."""
    done = await asyncio.gather(*works, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if isinstance(each, Version)]
