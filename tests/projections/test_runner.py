"""Exactly once, in order, from the right ledger: read models on a real PostgreSQL."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from msgspec.structs import replace

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from commands.ports import Damaged, Db, Unavailable
from domain.events import Recorded, decode
from projections import PROJECTIONS, advance, cursor, runner
from projections.advance import Poisoned
from projections.cursor import Cursor
from projections.projection import Projection
from projections.runner import Rebuilt
from tests.givens import Given
from tests.projections.copied import CopiedLedger
from tests.projections.following import (
    SECONDS_MAX,
    all_caught_up,
    digest_of,
    following,
    project,
)
from tests.projections.killed_runner import story
from tests.servers import PostgresServer

HISTORY = PROJECTIONS["history"]
ALL = tuple(PROJECTIONS.values())


async def sequences(database: PostgresDatabase) -> list[int]:
    async with database.acquire() as db:
        found = await db.fetch("SELECT sequence FROM history.events ORDER BY sequence")
    return [row["sequence"] for row in found]


async def live_cursor(database: PostgresDatabase) -> Cursor:
    async with database.acquire() as db:
        return await cursor.live(db, "history")


def without_progress(sequence: int, head: int) -> None:
    pass


async def test_what_happens_while_it_runs_is_read_back_at_once(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    async with following(ledger, database, HISTORY):
        for _ in range(3):
            await given.ward(2)
            await all_caught_up(ledger, database, HISTORY)
            assert len(await sequences(database)) == (await ledger.head()).sequence


@pytest.mark.parametrize("projection", ALL, ids=PROJECTIONS)
async def test_a_rebuild_gives_what_lived(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase, projection: Projection
) -> None:
    async with following(ledger, database, projection):
        for _ in range(3):
            await given.ward(4)
            await all_caught_up(ledger, database, projection)
    lived = await digest_of(database, projection.name)
    rebuilt = await runner.rebuild(projection, ledger, database, without_progress)
    assert rebuilt == Rebuilt(2, (await ledger.head()).sequence, True)
    assert await digest_of(database, projection.name) == lived


async def test_a_batch_that_breaks_leaves_no_trace(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    async def breaking(db: Db, batch: Sequence[Recorded]) -> None:
        await HISTORY.apply(db, batch)
        raise ZeroDivisionError

    with pytest.raises(Poisoned, match=r"before event 1 .*ZeroDivisionError"):
        await project(ward, database, replace(HISTORY, apply=breaking))
    assert await sequences(database) == []
    await project(ward, database, HISTORY)
    assert await sequences(database) == [one.sequence for one in ward.events]


async def test_a_runner_stopped_between_rows_and_commit_leaves_no_trace(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    rows_are_written = asyncio.Event()

    async def hanging(db: Db, batch: Sequence[Recorded]) -> None:
        await HISTORY.apply(db, batch)
        rows_are_written.set()
        await asyncio.Event().wait()

    stopped = asyncio.create_task(runner.run(replace(HISTORY, apply=hanging), ward, database))
    await rows_are_written.wait()
    stopped.cancel()
    await asyncio.wait({stopped})
    assert await sequences(database) == []
    await project(ward, database, HISTORY)
    assert await sequences(database) == [one.sequence for one in ward.events]


async def test_starting_again_applies_nothing_twice(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    for count in (1, 7, 7, 30, len(ward.events)):
        await project(CopiedLedger(ward.events[:count]), database, *ALL)
        assert await sequences(database) == list(range(1, count + 1))
    pieces = [await digest_of(database, one.name) for one in ALL]
    for projection in ALL:
        await runner.rebuild(projection, ward, database, without_progress)
    assert [await digest_of(database, one.name) for one in ALL] == pieces


async def test_runners_killed_at_any_moment_apply_everything_once(
    fresh_database: str, database: PostgresDatabase
) -> None:
    ledger, found = await story(), []
    for events in range(5, len(ledger.events), 25):
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.projections.killed_runner", fresh_database
        )
        try:
            await until(database, events)
        finally:
            killed.kill()
            await killed.wait()
        found.append(len(await sequences(database)))
    assert 0 < found[0] < len(ledger.events)
    await project(ledger, database, *ALL)
    assert await sequences(database) == [one.sequence for one in ledger.events]
    for projection in ALL:
        rebuilt = await runner.rebuild(projection, ledger, database, without_progress)
        assert rebuilt.identical


async def until(database: PostgresDatabase, sequence: int, name: str = HISTORY.name) -> None:
    """As `caught_up`, which wants the tables to be there."""
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            with suppress(Unavailable):
                if await runner.caught_up(database, name, sequence, 0):
                    return
            await asyncio.sleep(0.01)


async def until_away(database: PostgresDatabase) -> None:
    """A killed Postgres can still answer until its processes have noticed."""
    async with asyncio.timeout(SECONDS_MAX):
        with suppress(Unavailable):
            while True:
                await runner.caught_up(database, HISTORY.name, 1, 0)


async def test_two_runners_of_one_projection_do_the_work_of_one(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    async with following(ledger, database, HISTORY), following(ledger, database, HISTORY):
        await given.ward()
        await all_caught_up(ledger, database, HISTORY)
    assert len(await sequences(database)) == (await ledger.head()).sequence


async def test_a_killed_postgres_is_waited_for(
    ward: CopiedLedger, database: PostgresDatabase, postgres_server: PostgresServer
) -> None:
    await project(CopiedLedger(ward.events[:20]), database, HISTORY)
    running = asyncio.create_task(runner.run(HISTORY, ward, database))
    try:
        postgres_server.kill()
        await until_away(database)
        postgres_server.launch()
        await asyncio.to_thread(postgres_server.wait)
        await all_caught_up(ward, database, HISTORY)
    finally:
        running.cancel()
    assert await sequences(database) == [one.sequence for one in ward.events]


async def test_another_ledger_is_refused(ward: CopiedLedger, database: PostgresDatabase) -> None:
    await project(ward, database, HISTORY)
    other = CopiedLedger(ward.events, uuid4())
    with pytest.raises(Damaged, match=f"{ward.id}.*{other.id}"):
        await runner.run(HISTORY, other, database)


async def test_a_ledger_that_lost_its_end_is_refused(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    shorter = CopiedLedger(ward.events[:-3])
    with pytest.raises(Damaged, match=f"{len(ward.events)}.*{len(shorter.events)}"):
        await runner.run(HISTORY, shorter, database)


async def test_a_ledger_that_was_changed_at_the_cursor_is_refused(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    last = ward.events[-1]
    changed = decode(last.sequence, last.payload.replace(b"/ictus/test", b"/ictus/else"))
    with pytest.raises(Damaged, match=f"{last.hash}.*{changed.hash}"):
        await runner.run(HISTORY, CopiedLedger([*ward.events[:-1], changed]), database)


@pytest.mark.parametrize("applied", [0, 20], ids=["from the start", "after the cursor"])
async def test_a_ledger_with_a_gap_is_refused(
    ward: CopiedLedger, database: PostgresDatabase, applied: int
) -> None:
    await project(CopiedLedger(ward.events[:applied]), database, HISTORY)
    holed = CopiedLedger(ward.events[: applied + 5] + ward.events[applied + 6 :])
    with pytest.raises(Damaged, match=f"expects event {applied + 6},.*gave event {applied + 7}"):
        await runner.run(HISTORY, holed, database)


async def test_a_ledger_without_the_event_at_the_cursor_is_refused(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(CopiedLedger(ward.events[:20]), database, HISTORY)
    holed = CopiedLedger(ward.events[:19] + ward.events[20:])
    with pytest.raises(Damaged, match=r"expects event 20,.*gave event 21"):
        await runner.run(HISTORY, holed, database)


async def test_a_rebuild_follows_a_repaired_ledger(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    """What a runner refuses, a rebuild puts right once a person has decided so."""
    await project(ward, database, HISTORY)
    shorter = CopiedLedger(ward.events[:-3])
    rebuilt = await runner.rebuild(HISTORY, shorter, database, without_progress)
    assert rebuilt == Rebuilt(2, len(shorter.events), None)
    assert len(await sequences(database)) == len(shorter.events)


async def test_a_rebuild_tells_its_progress(ward: CopiedLedger, database: PostgresDatabase) -> None:
    told: list[tuple[int, int]] = []
    await runner.rebuild(HISTORY, ward, database, lambda done, head: told.append((done, head)))
    assert told[-1] == (len(ward.events), len(ward.events))


async def test_the_lag_is_the_age_of_the_first_event_that_is_missing(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(CopiedLedger(ward.events[:20]), database, HISTORY)
    now = ward.events[20].envelope.time + timedelta(seconds=90)
    (status,) = await runner.status(database, ward, now)
    assert (status.sequence, status.behind) == (20, len(ward.events) - 20)
    assert status.behind_s == 90.0
    await project(ward, database, HISTORY)
    (status,) = await runner.status(database, ward, now)
    assert (status.behind, status.behind_s) == (0, 0.0)


async def test_several_are_rebuilt_from_one_reading(
    ward: CopiedLedger, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[int] = []

    class Counted(CopiedLedger):
        def read(self, after: int = 0, aggregate: str | None = None) -> AsyncGenerator[Recorded]:
            readings.append(after)
            return super().read(after, aggregate)

    await project(ward, database, *ALL)
    rebuilt = await runner.rebuild_all(ALL, Counted(ward.events), database, without_progress)
    assert rebuilt == {one.name: Rebuilt(2, len(ward.events), True) for one in ALL}
    assert readings == [0, len(ward.events) - 1]


async def test_a_new_database_beside_a_long_ledger_is_built_from_one_reading(
    ward: CopiedLedger, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LONG_LEDGER_EVENTS", len(ward.events))
    running = asyncio.create_task(runner.run_all(ALL, ward, database, {}))
    try:
        for one in ALL:
            await until(database, len(ward.events), one.name)
    finally:
        running.cancel()
    found = await runner.status(database, ward)
    assert {one.version for one in found} == {2}
    assert {(one.behind, one.building) for one in found} == {(0, None)}


async def test_a_rebuild_takes_over_from_a_running_projection(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    await given.ward()
    async with following(ledger, database, HISTORY):
        rebuilding = asyncio.create_task(
            runner.rebuild(HISTORY, ledger, database, without_progress)
        )
        await given.ward()
        await rebuilding
        await given.ward()
        await all_caught_up(ledger, database, HISTORY)
    assert len(await sequences(database)) == (await ledger.head()).sequence


async def test_an_interrupted_rebuild_harms_nothing(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)

    def interrupted(sequence: int, head: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await runner.rebuild(HISTORY, ward, database, interrupted)
    (status,) = await runner.status(database, ward)
    assert (status.version, status.behind, status.building) == (1, 0, len(ward.events))
    rebuilt = await runner.rebuild(HISTORY, ward, database, without_progress)
    assert rebuilt == Rebuilt(2, len(ward.events), True)
    (status,) = await runner.status(database, ward)
    assert (status.version, status.behind, status.building) == (2, 0, None)


async def test_the_version_before_is_kept_and_the_one_before_that_is_not(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    for _ in range(2):
        await runner.rebuild(HISTORY, ward, database, without_progress)
    async with database.acquire() as db:
        schemas = await db.fetch(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'history%' ORDER BY nspname"
        )
    assert [row["nspname"] for row in schemas] == ["history", "history_v2"]


async def test_a_new_revision_is_built_before_readers_see_it(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    newer = replace(HISTORY, revision=2, ddl=HISTORY.ddl + "CREATE TABLE more ();")
    async with following(ward, database, newer), asyncio.timeout(SECONDS_MAX):
        while (live := await live_cursor(database)).revision != newer.revision:
            assert await sequences(database) == [one.sequence for one in ward.events]
    assert (live.version, live.sequence) == (2, len(ward.events))
    assert await sequences(database) == [one.sequence for one in ward.events]


async def test_programs_that_start_together_build_a_new_revision_together(
    ward: CopiedLedger, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advance, "EVENTS_MAX", 3)
    await project(ward, database, HISTORY)
    newer = replace(HISTORY, revision=2)
    async with following(ward, database, newer, newer, newer), asyncio.timeout(SECONDS_MAX):
        while (live := await live_cursor(database)).revision != newer.revision:
            assert len(await sequences(database)) == len(ward.events)
    assert (live.version, live.sequence) == (2, len(ward.events))
    assert await sequences(database) == [one.sequence for one in ward.events]


async def test_an_older_program_leaves_a_newer_revision_alone(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    newer = replace(HISTORY, revision=2)
    await project(CopiedLedger(ward.events[:5]), database, newer)
    older = asyncio.create_task(runner.run(HISTORY, ward, database))
    assert not await runner.caught_up(database, "history", 6, timeout_s=0.5)
    older.cancel()
    assert await sequences(database) == [1, 2, 3, 4, 5]


async def test_a_reader_is_told_when_it_cannot_wait_longer(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, HISTORY)
    assert await runner.caught_up(database, "history", len(ward.events), 0)
    assert not await runner.caught_up(database, "history", len(ward.events) + 1, 0.05)


async def test_a_reader_that_comes_before_the_projector_is_asked_to_wait(
    database: PostgresDatabase,
) -> None:
    with pytest.raises(Unavailable):
        await runner.caught_up(database, "history", 1, SECONDS_MAX)
