"""Keeps read models up to date with the ledger, exactly once, and rebuilds them beside the live ones."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, MutableMapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import NoReturn

from msgspec import Struct, ValidationError
from msgspec.structs import replace

from commands.ports import Damaged, Database, Ledger, Unavailable
from domain.identity import Instant
from projections import cursor as cursors, digest
from projections.advance import Poisoned, Version, advance, bound
from projections.cursor import Cursor
from projections.feed import closing
from projections.projection import Projection

RETRY_SECONDS = 0.1
RETRY_SECONDS_MAX = 5.0
STOPPED_SECONDS = 30.0
POLL_SECONDS = 0.01
LONG_LEDGER_EVENTS = 10_000
"""From here on an empty read model is built like a new version: without indices, then switched."""

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Troubles = MutableMapping[str, str]
"""Why a projection stopped, by its name."""


async def run_all(
    projections: Sequence[Projection], ledger: Ledger, database: Database, troubles: Troubles
) -> None:
    """Runs each for ever, whatever becomes of the others; one that stopped tries again at times."""
    try:
        await _build_first(projections, ledger, database)
    except (Unavailable, Damaged, Poisoned, ValidationError) as error:
        log.warning("the read models are built one by one: %s", error)
    await asyncio.gather(*(_keep(one, ledger, database, troubles) for one in projections))


async def run(
    projection: Projection, ledger: Ledger, database: Database, troubles: Troubles | None = None
) -> NoReturn:
    """Follows the ledger for ever, through absences of it and of the database.

    An older revision in the database is rebuilt first, while readers keep the old tables. Raises
    Damaged when the ledger is not the one, or not any more, that the read model was made from,
    Poisoned for an event that cannot be applied, ValidationError for one of an unknown type.
    """
    pause_s = RETRY_SECONDS
    while True:
        try:
            async with aclosing(_follow(projection, ledger, database)) as commits:
                async for committed in commits:
                    pause_s = RETRY_SECONDS
                    if troubles and troubles.pop(projection.name, ""):
                        await cursors.blame(database, committed, "")
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


async def _keep(
    projection: Projection, ledger: Ledger, database: Database, troubles: Troubles
) -> NoReturn:
    while True:
        try:
            await run(projection, ledger, database, troubles)
        except (Damaged, Poisoned, ValidationError) as error:
            await _stopped(projection.name, error, database, troubles)
        await asyncio.sleep(STOPPED_SECONDS)


async def _stopped(
    name: str, error: Damaged | Poisoned | ValidationError, database: Database, troubles: Troubles
) -> None:
    """Says it once, and where `projection status` and /readyz find it."""
    alarm = str(error)
    if isinstance(error, ValidationError):
        alarm = f"projection {name} stops at an event it cannot read ({error}): update ictus"
    if troubles.get(name) != alarm:
        sequence = error.recorded.sequence if isinstance(error, Poisoned) else None
        log.error("%s", alarm, extra={"projection": name, "sequence": sequence})
        troubles[name] = alarm
    try:
        await cursors.blame(database, await _live(name, database), alarm)
    except Unavailable as away:
        log.warning("projection %s could not note why it stopped: %s", name, away)


async def _follow(
    projection: Projection, ledger: Ledger, database: Database
) -> AsyncGenerator[Cursor, None]:
    cursor = await _up_to_date(projection, ledger, database)
    events = ledger.follow(max(0, cursor.sequence - 1))
    async with aclosing(advance([Version(projection, cursor)], events, database)) as steps:
        async for (version,) in steps:
            yield version.cursor


async def _up_to_date(projection: Projection, ledger: Ledger, database: Database) -> Cursor:
    """The live cursor, of this program's revision."""
    await cursors.create((projection,), database)
    live, head = await _live(projection.name, database), await ledger.head()
    if live.revision > projection.revision:
        raise Unavailable(f"projection {projection.name} belongs to a newer program")
    is_new = live.sequence == 0 and head.sequence >= LONG_LEDGER_EVENTS
    if is_new or live.revision < projection.revision:
        log.warning("projection %s is built as revision %d", live.name, projection.revision)
        begun = await cursors.begin(projection, database, anew=False)
        await _build([Version(projection, begun)], ledger, database, lambda sequence, head: None)
        live = await _live(projection.name, database)
    return bound(live, await ledger.head())


# Rebuilding


async def _build_first(
    projections: Sequence[Projection], ledger: Ledger, database: Database
) -> None:
    """In a new database beside a long ledger: all from one reading. What hinders it meets each when
    it runs, and goes on from here."""
    await cursors.create(projections, database)
    lives = [await _live(one.name, database) for one in projections]
    is_new = all((live.sequence, live.version) == (0, 1) for live in lives)
    if is_new and (await ledger.head()).sequence >= LONG_LEDGER_EVENTS:
        begun = [
            Version(one, await cursors.begin(one, database, anew=False)) for one in projections
        ]
        await _build(begun, ledger, database, lambda sequence, head: None)


class Rebuilt(Struct, frozen=True):
    """`identical`: the new tables hold what the old ones held; None when they cannot be compared,
    because they stand at different sequences or were made by different revisions."""

    version: int
    sequence: int
    identical: bool | None


async def rebuild(
    projection: Projection, ledger: Ledger, database: Database, progress: Progress
) -> Rebuilt:
    """Builds the next version from the first event, beside the live one, and switches to it.

    Calls `progress(sequence, head)` after each batch. The former version is kept until the next
    rebuild. Raises Damaged, Unavailable, Poisoned; the live version then stays as it was.
    """
    return (await rebuild_all([projection], ledger, database, progress))[projection.name]


async def rebuild_all(
    projections: Sequence[Projection], ledger: Ledger, database: Database, progress: Progress
) -> dict[str, Rebuilt]:
    """As `rebuild`, of several from one reading of the ledger."""
    await cursors.create(projections, database)
    begun = [Version(one, await cursors.begin(one, database)) for one in projections]
    return await _build(begun, ledger, database, progress)


async def _build(
    versions: Sequence[Version], ledger: Ledger, database: Database, progress: Progress
) -> dict[str, Rebuilt]:
    versions = await _read_on(versions, ledger, database, progress)
    await asyncio.gather(*(_indexed(version, database) for version in versions))
    rebuilt: dict[str, Rebuilt] = {}
    while versions:
        versions = await _read_on(versions, ledger, database, progress)
        for version in versions:
            if switched := await _switched(version, ledger, database):
                rebuilt[version.projection.name] = switched
        versions = [version for version in versions if version.projection.name not in rebuilt]
    return rebuilt


async def _read_on(
    versions: Sequence[Version], ledger: Ledger, database: Database, progress: Progress
) -> Sequence[Version]:
    """All of them, at the ledger's end."""
    head = await ledger.head()
    versions = [replace(each, cursor=bound(each.cursor, head)) for each in versions]
    events = ledger.read(max(0, min(each.cursor.sequence for each in versions) - 1))
    async with aclosing(advance(versions, events, database)) as steps:
        async for versions in steps:
            progress(min(each.cursor.sequence for each in versions), head.sequence)
    return versions


async def _indexed(version: Version, database: Database) -> None:
    async with database.acquire() as db, db.transaction():
        await cursors.enter(db, version.cursor)
        await cursors.index(db, version.projection)


async def _switched(version: Version, ledger: Ledger, database: Database) -> Rebuilt | None:
    """None when the live version went ahead meanwhile: readers must not see time go back."""
    built = version.cursor
    async with database.acquire() as db, db.transaction():
        live = await cursors.lock_live(db, built.name)
        await cursors.enter(db, built)
        if built.sequence < live.sequence <= (await ledger.head()).sequence:
            return None
        identical = None
        if (live.sequence, live.revision) == (built.sequence, built.revision):
            old, new = [await digest.of_schema(db, one.schema) for one in (live, built)]
            identical = old == new
        await cursors.switch(db, live, built)
    return Rebuilt(built.version, built.sequence, identical)


# Status


class Status(Struct, frozen=True):
    """`behind` is the number of events not applied yet and `behind_s` the age of the first of them,
    0 when there is none; `building` the sequence a rebuild is at; `trouble` why it stopped."""

    name: str
    version: int
    revision: int
    sequence: int
    behind: int
    behind_s: float
    building: int | None
    trouble: str


STATUS = """
SELECT live.name, live.version, live.revision, live.sequence, live.trouble,
    $1 - live.sequence AS behind, next.sequence AS building
FROM projection.cursor live
LEFT JOIN projection.cursor next ON next.name = live.name AND next.version > live.version
WHERE live.live ORDER BY live.name
"""


async def status(database: Database, ledger: Ledger, now: Instant | None = None) -> list[Status]:
    """Of every projection that was created, by name."""
    head = await ledger.head()
    async with database.acquire() as db:
        found = await db.fetch(STATUS, head.sequence)
    positions = {row["sequence"] for row in found if row["behind"] > 0}
    times = {position: await _time_after(position, ledger) for position in positions}
    now = now or datetime.now(UTC)
    return [Status(**row, behind_s=_seconds(times.get(row["sequence"]), now)) for row in found]


async def _time_after(sequence: int, ledger: Ledger) -> Instant | None:
    async with closing(ledger.read(sequence)) as events:
        async for recorded in events:
            return recorded.envelope.time
    return None


def _seconds(since: Instant | None, now: Instant) -> float:
    return max(0.0, round((now - since).total_seconds(), 3)) if since else 0.0


async def _live(name: str, database: Database) -> Cursor:
    async with database.acquire() as db:
        return await cursors.live(db, name)
