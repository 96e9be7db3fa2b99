"""The machine's stack: embedded servers where no address is set, and every role under a supervisor."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace

from adapters.storage.users import ADMIN
from commands.ports import Unavailable
from ictus import embedded
from ictus.kept import free_port
from ictus.roles import STANDING
from ictus.settings import HealthSettings, NatsSettings, PostgresSettings, Settings, environment
from ictus.supervisor import AlreadyRunning, Child, Supervisor
from ictus.wiring import as_user, furnish, open_house

ROLE_READY_SECONDS_MAX = 90.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "PYTHONPATH")


@asynccontextmanager
async def attached(settings: Settings) -> AsyncIterator[Settings]:
    """Settings whose servers answer: those that run, or embedded ones for as long as the body lasts.

    For short commands beside or without a running `ictus up`.
    """
    if settings.nats.url and settings.postgres.dsn:
        yield settings
        return
    if not (settings.folder / "ports.json").exists():
        raise Unavailable(
            f"there is no ledger in {settings.folder}: `ictus up` or `ictus demo` makes one,"
            " --data DIR names another"
        )
    try:
        async with Supervisor(settings.folder / "run") as supervisor:
            yield await start_servers(supervisor, settings)
    except AlreadyRunning:
        yield located(settings)


def located(settings: Settings) -> Settings:
    """Where the embedded servers of this data directory listen."""
    if not settings.nats.url:
        settings = replace(settings, nats=_nats(embedded.nats_at(settings.folder)))
    if not settings.postgres.dsn:
        dsn = embedded.postgres_at(settings.folder).dsn
        settings = replace(settings, postgres=PostgresSettings(dsn))
    return settings


async def start_servers(supervisor: Supervisor, settings: Settings) -> Settings:
    """Starts the embedded servers that are not set by address, side by side."""
    starting = []
    if not settings.nats.url:
        nats = await asyncio.to_thread(embedded.prepare_nats, settings.folder)
        settings = replace(settings, nats=_nats(nats))
        starting.append(supervisor.start(embedded.nats_child(nats)))
    if not settings.postgres.dsn:
        postgres = await asyncio.to_thread(embedded.prepare_postgres, settings.folder)
        settings = replace(settings, postgres=PostgresSettings(postgres.dsn))
        starting.append(supervisor.start(embedded.postgres_child(postgres)))
    await asyncio.gather(*starting)
    return settings


async def start_roles(supervisor: Supervisor, settings: Settings) -> None:
    """Furnishes the house, then starts all standing roles side by side and waits until each is ready."""
    async with open_house(settings, ADMIN) as house:
        await furnish(house)
    await asyncio.gather(*(supervisor.start(role_child(name, settings)) for name in STANDING))


def role_child(name: str, settings: Settings) -> Child:
    health = HealthSettings(port=free_port())
    settings = as_user(settings, name)
    # What is not ready because of a poisonous event must not keep everything else from starting.
    url = f"http://{health.host}:{health.port}/livez"
    inherited = {word: os.environ[word] for word in PASSED_ON if word in os.environ}
    return Child(
        name=name,
        argv=(sys.executable, "-m", "ictus", "run", name),
        env=inherited | environment(replace(settings, health=health)),
        log=settings.folder / "run" / f"{name}.log",
        ready=partial(_answers, url),
        ready_seconds_max=ROLE_READY_SECONDS_MAX,
    )


async def _answers(url: str) -> bool:
    return await asyncio.to_thread(embedded.answers_ok, url)


def _nats(nats: embedded.Nats) -> NatsSettings:
    return NatsSettings(url=nats.address, monitor_url=nats.monitor_url)
