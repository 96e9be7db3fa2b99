"""An event that a projection cannot apply stops that projection alone, loudly, until it is mended."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import ClientSession
from msgspec.structs import replace

from adapters.storage.postgres import PostgresDatabase
from commands.ports import Db
from domain.events import Recorded
from ictus.kept import free_port
from ictus.telemetry import health
from projections import PROJECTIONS, runner
from projections.projection import Projection
from tests.projections.copied import CopiedLedger
from tests.projections.following import SECONDS_MAX, all_caught_up, digest_of, project

HISTORY, INBOX, PEOPLE = (PROJECTIONS[name] for name in ("history", "inbox", "people"))
AT = 30


def poisoned(projection: Projection) -> Projection:
    async def failing(db: Db, batch: Sequence[Recorded]) -> None:
        await projection.apply(db, batch)
        if any(recorded.sequence == AT for recorded in batch):
            raise ZeroDivisionError("no such number")

    return replace(projection, apply=failing)


@asynccontextmanager
async def running(
    ledger: CopiedLedger, database: PostgresDatabase, *projections: Projection
) -> AsyncIterator[dict[str, str]]:
    """The troubles of the projections that run."""
    troubles: dict[str, str] = {}
    task = asyncio.create_task(runner.run_all(projections, ledger, database, troubles))
    try:
        yield troubles
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def trouble(troubles: dict[str, str]) -> str:
    await until(lambda: bool(troubles))
    return troubles["inbox"]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def statuses(ledger: CopiedLedger, database: PostgresDatabase) -> dict[str, runner.Status]:
    return {one.name: one for one in await runner.status(database, ledger)}


async def test_the_alarm_names_projection_event_and_error_and_how_to_mend(
    ward: CopiedLedger, database: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    event = ward.events[AT - 1]
    async with running(ward, database, poisoned(INBOX)) as troubles:
        alarm = await trouble(troubles)
    for word in ("inbox", f"event {AT}", str(event.id), event.envelope.type, "ZeroDivisionError"):
        assert word in alarm
    assert "mend projections/inbox.py" in alarm
    (logged,) = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert logged.getMessage() == alarm
    assert (vars(logged)["projection"], vars(logged)["sequence"]) == ("inbox", AT)


async def test_it_stands_before_the_event_and_the_others_go_on(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    async with running(ward, database, HISTORY, poisoned(INBOX), PEOPLE) as troubles:
        alarm = await trouble(troubles)
        await all_caught_up(ward, database, HISTORY, PEOPLE)
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                found = await statuses(ward, database)
                if found["inbox"].trouble:
                    break
                await asyncio.sleep(0.01)
    assert (found["inbox"].sequence, found["inbox"].trouble) == (AT - 1, alarm)
    assert (found["history"].behind, found["history"].trouble) == (0, "")
    assert set(troubles) == {"inbox"}


async def test_what_came_before_the_event_is_as_if_it_did_not_exist(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    async with running(ward, database, poisoned(INBOX)) as troubles:
        await trouble(troubles)
    stopped = await digest_of(database, "inbox")
    before = CopiedLedger(ward.events[: AT - 1])
    rebuilt = await runner.rebuild(INBOX, before, database, lambda at, head: None)
    assert (rebuilt.sequence, rebuilt.identical) == (AT - 1, True)
    assert await digest_of(database, "inbox") == stopped


async def test_once_mended_it_goes_on_from_there(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    async with running(ward, database, poisoned(INBOX)) as troubles:
        await trouble(troubles)
    async with running(ward, database, INBOX):
        await all_caught_up(ward, database, INBOX)
    (status,) = await runner.status(database, ward)
    assert (status.behind, status.trouble) == (0, "")


async def test_it_tries_again_by_itself(
    ward: CopiedLedger, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "STOPPED_SECONDS", 0.05)
    holed = CopiedLedger([*ward.events[: AT - 1], *ward.events[AT:]])
    async with running(holed, database, INBOX) as troubles:
        assert "gave event" in await trouble(troubles)
        holed.events = ward.events
        await all_caught_up(holed, database, INBOX)
        await until(lambda: not troubles)


async def test_an_event_of_an_unknown_type_stops_what_reads_it(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    class Newer(CopiedLedger):
        async def follow(self, after: int = 0) -> AsyncIterator[Recorded]:  # type: ignore[override]
            async for found in self.read(after):
                if found.sequence == AT:
                    raise msgspec.ValidationError("Invalid value 'case.dreamt.v1'")
                yield found

    async with running(Newer(ward.events), database, INBOX) as troubles:
        alarm = await trouble(troubles)
    assert "case.dreamt.v1" in alarm
    assert "update ictus" in alarm


async def test_a_poisoned_rebuild_leaves_the_live_version_alone(
    ward: CopiedLedger, database: PostgresDatabase
) -> None:
    await project(ward, database, INBOX)
    lived = await digest_of(database, "inbox")
    with pytest.raises(runner.Poisoned, match=f"before event {AT} "):
        await runner.rebuild(poisoned(INBOX), ward, database, lambda at, head: None)
    assert await digest_of(database, "inbox") == lived
    (status,) = await runner.status(database, ward)
    assert (status.version, status.building) == (1, AT - 1)


async def test_readyz_tells_what_stopped() -> None:
    troubles: dict[str, str] = {}
    url = f"http://127.0.0.1:{(port := free_port())}"
    async with (
        health("127.0.0.1", port, lambda: list(troubles.values())),
        ClientSession(url) as client,
    ):
        async with client.get("/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ready": True, "troubles": []})
        troubles["inbox"] = "projection inbox stops"
        async with client.get("/readyz") as answer:
            told = {"ready": False, "troubles": ["projection inbox stops"]}
            assert (answer.status, await answer.json()) == (503, told)
        async with client.get("/livez") as answer:
            assert answer.status == 200
