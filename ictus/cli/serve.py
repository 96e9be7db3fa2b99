"""`ictus up`, `ictus demo`, `ictus furnish` and `ictus run`."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ictus.cli.errors import INTERRUPTED
from ictus.cli.options import DEMO, NO_LEDGER, Data, Json, put_json, read_settings, tell
from ictus.settings import Settings


def up(
    *,
    data: Data = None,
    unsafe_durability: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Runs everything here until Ctrl-C; needs a bot's token.

    Parameters
    ----------
    unsafe_durability
        Start even where an acknowledged event may be lost. For development only.
    """
    asyncio.run(_up(data, unsafe_durability))


def demo(
    *,
    cases: int = 12,
    chaos: int = 0,
    seed: int = 1,
    model: Annotated[bool, Parameter(name="--model", negative="--no-model")] = True,
    image: Path | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Plays synthetic cases and shows what happened.

    Parameters
    ----------
    cases
        How many cases synthetic clinicians send.
    chaos
        How many times a random role or server gets SIGKILL meanwhile.
    seed
        Of the cases and the chaos.
    model
        With --no-model everything but the prediction works: collection only.
    image
        A picture of your own, sent as one more case.
    """
    from ictus.demo.play import Plan, play

    plan = Plan(cases=cases, chaos=chaos, seed=seed, model=model, image=image)
    settings = read_settings(data or DEMO, origin="demo")
    raise SystemExit(asyncio.run(play(plan, settings, json)))


def furnish(*, data: Data = None, json: Json = False) -> None:
    """Makes what must stand before any role; repeatable."""
    asyncio.run(_furnish(data, json))


def run(*roles: str, data: Data = None) -> None:
    """Runs one or several roles in this process.

    Parameters
    ----------
    roles
        inbox, bot, ingest, inference, answer, outbox, projector, witness, dataset-worker.
    """
    import uvloop
    from nats.js.errors import NotFoundError

    from commands.ports import Unavailable
    from ictus.roles import ROLES, run_roles
    from ictus.settings import BadSetting

    unknown = [name for name in roles if name not in ROLES]
    if unknown or not roles:
        raise BadSetting(f"name roles to run, of: {', '.join(ROLES)}")
    try:
        uvloop.run(run_roles(roles, _addressed(data)))
    except NotFoundError:
        raise Unavailable(NO_LEDGER) from None


def _addressed(data: str | None) -> Settings:
    """Settings with addresses: as set, or of the embedded servers that `ictus up` runs here."""
    from ictus.stack import located

    settings = read_settings(data)
    return settings if settings.nats.url and settings.postgres.dsn else located(settings)


async def _furnish(data: str | None, json: bool) -> None:
    from adapters.storage.users import ADMIN
    from ictus import wiring

    async with wiring.open_house(_addressed(data), ADMIN) as house:
        await wiring.furnish(house)
        head = await house.books.ledger.head()
    if json:
        put_json(head)
        return
    tell(f"ledger {head.ledger} ({head.origin}) stands at event {head.sequence}")


async def _up(data: str | None, unsafe_durability: bool) -> None:
    from ictus.roles import bot_api
    from ictus.stack import start_roles, start_servers
    from ictus.supervisor import Supervisor

    settings = read_settings(data, unsafe_durability=unsafe_durability or None)
    bot_api(settings)
    async with Supervisor(settings.folder / "run") as supervisor:
        tell("starting NATS and PostgreSQL")
        settings = await start_servers(supervisor, settings)
        tell("starting all roles; the bot takes some seconds")
        await start_roles(supervisor, settings)
        tell(f"ictus is up; logs in {settings.folder / 'run'}; Ctrl-C stops it")
        await supervisor.wait()
    tell("stopped")
    raise SystemExit(INTERRUPTED)
