"""Keeps read models up to date with the ledger, exactly once, and rebuilds them beside the live ones."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from commands.ports import Damaged, Database, Ledger, Unavailable
from domain.events import Recorded
from projections import cursor as cursors, digest
from projections.cursor import Cursor
from projections.feed import in_batches
from projections.projection import Projection

EVENTS_MAX = 500
RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 5.0
POLL_SECONDS = 0.01

log = logging.getLogger(__name__)


async def run(projection: Projection, ledger: Ledger, database: Database) -> NoReturn:
    """Follows the ledger for ever, through absences of it and of the database.

    An older revision in the database is rebuilt first, while readers keep the old tables. Raises
    Damaged when the ledger is not the one, or not any more, that the read model was made from.
    """
    pause_s = RETRY_SECONDS
    while True:
        try:
            async with aclosing(_follow(projection, ledger, database)) as commits:
                async for _ in commits:
                    pause_s = RETRY_SECONDS
        except Unavailable as away:
            log.warning("projection %s tries again in %.1f s: %s", projection.name, pause_s, away)
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, RETRY_SECONDS_MAX)


async def caught_up(database: Database, name: str, sequence: int, timeout_s: float) -> bool:
    """Waits until the live read model includes the event at `sequence`; False when time is up.

    Raises Unavailable.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    while (await _live(name, database)).sequence < sequence:
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


class Rebuilt(Struct, frozen=True):
    """`identical`: the new tables hold what the old ones held; None when they cannot be compared,
    because they stand at different sequences or were made by different revisions."""

    version: int
    sequence: int
    identical: bool | None


async def rebuild(
    projection: Projection,
    ledger: Ledger,
    database: Database,
    progress: Callable[[int, int], None],
) -> Rebuilt:
    """Builds the next version from the first event, beside the live one, and switches to it.

    Calls `progress(sequence, head)` after each batch. The former version is kept until the next
    rebuild. Raises Damaged, Unavailable; the live version then stays as it was.
    """
    await cursors.create((projection,), database)
    begun = await cursors.begin(projection, database)
    return await _finish(projection, begun, ledger, database, progress)


class Status(Struct, frozen=True):
    """`behind` is the number of events not applied yet; `building` the sequence a rebuild is at."""

    name: str
    version: int
    revision: int
    sequence: int
    behind: int
    building: int | None


async def status(database: Database, ledger: Ledger) -> list[Status]:
    """Of every projection that was created, by name."""
    head = await ledger.head()
    query = """
        SELECT live.name, live.version, live.revision, live.sequence,
            $1 - live.sequence AS behind, next.sequence AS building
        FROM projection.cursor live
        LEFT JOIN projection.cursor next
            ON next.name = live.name AND next.version > live.version
        WHERE live.live ORDER BY live.name
    """
    async with database.acquire() as db:
        return [Status(**found) for found in await db.fetch(query, head.sequence)]


async def _follow(
    projection: Projection, ledger: Ledger, database: Database
) -> AsyncGenerator[Cursor, None]:
    cursor = await _up_to_date(projection, ledger, database)
    events = ledger.follow(max(0, cursor.sequence - 1))
    async with aclosing(_advance(projection, cursor, events, database)) as commits:
        async for committed in commits:
            yield committed


async def _up_to_date(projection: Projection, ledger: Ledger, database: Database) -> Cursor:
    """The live cursor, of this program's revision."""
    await cursors.create((projection,), database)
    live = await _live(projection.name, database)
    if live.revision > projection.revision:
        raise Unavailable(f"projection {projection.name} belongs to a newer program")
    if live.revision < projection.revision:
        log.warning("projection %s is rebuilt as revision %d", live.name, projection.revision)
        begun = await cursors.begin(projection, database, anew=False)
        await _finish(projection, begun, ledger, database, lambda sequence, head: None)
        live = await _live(projection.name, database)
    return await _checked(live, ledger)


async def _finish(
    projection: Projection,
    cursor: Cursor,
    ledger: Ledger,
    database: Database,
    progress: Callable[[int, int], None],
) -> Rebuilt:
    while True:
        cursor = await _checked(cursor, ledger)
        head = await ledger.head()
        events = ledger.read(max(0, cursor.sequence - 1))
        async with aclosing(_advance(projection, cursor, events, database)) as commits:
            async for cursor in commits:
                progress(cursor.sequence, head.sequence)
        rebuilt = await _switched(projection, cursor, ledger, database)
        if rebuilt:
            return rebuilt


async def _advance(
    projection: Projection, cursor: Cursor, events: AsyncIterator[Recorded], database: Database
) -> AsyncGenerator[Cursor, None]:
    """Applies `events`, which begin with the one at the cursor; yields after each commit."""
    expected = max(1, cursor.sequence)
    async with aclosing(in_batches(events, EVENTS_MAX)) as batches:
        async for batch in batches:
            _check(cursor, expected, batch)
            expected = batch[-1].sequence + 1
            if fresh := [recorded for recorded in batch if recorded.sequence > cursor.sequence]:
                cursor = await _commit(projection, cursor, fresh, database)
                yield cursor


async def _commit(
    projection: Projection, cursor: Cursor, batch: list[Recorded], database: Database
) -> Cursor:
    async with database.acquire() as db, db.transaction():
        await cursors.enter(db, cursor)
        await projection.apply(db, batch)
        return await cursors.move(db, cursor, batch[-1])


async def _checked(cursor: Cursor, ledger: Ledger) -> Cursor:
    """The cursor, bound to this ledger if it was to none; refuses another or a shorter one."""
    head = await ledger.head()
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


def _check(cursor: Cursor, expected: int, batch: list[Recorded]) -> None:
    """No gap, and the event at the cursor, where it is among them, is the one that was applied."""
    for sequence, recorded in enumerate(batch, expected):
        if recorded.sequence != sequence:
            raise Damaged(
                f"projection {cursor.name} expects event {sequence},"
                f" and the ledger gave event {recorded.sequence}"
            )
    if batch[0].sequence == cursor.sequence and batch[0].hash != cursor.hash:
        raise Damaged(
            f"event {cursor.sequence} hashed to {cursor.hash} when projection {cursor.name}"
            f" applied it, and in the ledger it hashes to {batch[0].hash}"
        )


async def _switched(
    projection: Projection, built: Cursor, ledger: Ledger, database: Database
) -> Rebuilt | None:
    """None when the live version went ahead meanwhile: readers must not see time go back."""
    async with database.acquire() as db, db.transaction():
        live = await cursors.lock_live(db, projection.name)
        await cursors.enter(db, built)
        if built.sequence < live.sequence <= (await ledger.head()).sequence:
            return None
        identical = None
        if (live.sequence, live.revision) == (built.sequence, built.revision):
            old, new = [await digest.of_schema(db, one.schema) for one in (live, built)]
            identical = old == new
        await cursors.switch(db, live, built)
    return Rebuilt(built.version, built.sequence, identical)


async def _live(name: str, database: Database) -> Cursor:
    async with database.acquire() as db:
        return await cursors.live(db, name)
