"""The demo's stage: every server and role on this machine, a local Bot API, and people with phones."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from adapters.storage.users import ADMIN
from commands import cases, models, people
from domain.case import Case
from domain.person import Role
from ictus.cli.options import tell
from ictus.demo.clinician import Clinician, answers
from ictus.demo.telegram import Message, Telegram
from ictus.kept import free_port
from ictus.models import DEMO_BUNDLE, register_bundle
from ictus.settings import Settings, TelegramSettings
from ictus.stack import start_roles, start_servers
from ictus.supervisor import Child, Supervisor
from ictus.wiring import House, furnish, open_house
from workers.texts import LANGUAGES, plainly

SITE = "demo"
BOT_ID_FIRST, USER_ID_FIRST = 7_000_000_000, 5_000_000_000
USERS_PER_RUN = 10_000


class Stage(Struct, frozen=True):
    """An open stack. `number` counts the runs in this data directory; `model`: the demo's serves."""

    number: int
    model: bool
    house: House
    telegram: Telegram
    supervisor: Supervisor

    async def clinician(self, number: int) -> Clinician:
        """A new person, who speaks one of the languages."""
        language = LANGUAGES[number % len(LANGUAGES)]
        user = USER_ID_FIRST + self.number * USERS_PER_RUN + number
        person = await self.telegram.person(user, f"Demo Clinician {number + 1}", language)
        return Clinician(person, _is_final(self.model, language), self.load)

    async def load(self, case: UUID) -> Case:
        return await cases.load(self.house.books, case)

    async def invitation(self, role: Role) -> str:
        token = token_urlsafe(24)
        await people.issue_invitation(
            self.house.books,
            self.house.operator(),
            token,
            role=role,
            site=SITE,
            uses_max=100,
            valid=timedelta(days=1),
        )
        return token


async def set_stage(settings: Settings, model: bool, stack: AsyncExitStack) -> Stage:
    """Starts everything; the end of `stack` stops all of it."""
    supervisor = await stack.enter_async_context(Supervisor(settings.folder / "run"))
    number = _next_run(settings.folder)
    settings = await _start(supervisor, settings, number)
    house = await stack.enter_async_context(open_house(settings, "operator"))
    await _choose_model(house, model)
    tell("starting all roles (importing the bot library takes some seconds)")
    await start_roles(supervisor, settings)
    telegram = await stack.enter_async_context(Telegram(settings.telegram.api))
    return Stage(number, model, house, telegram, supervisor)


async def _start(supervisor: Supervisor, settings: Settings, number: int) -> Settings:
    """Servers and Bot API, and in them what must stand before any role."""
    port = free_port()
    telegram = TelegramSettings(
        token=f"{BOT_ID_FIRST + number}:{token_urlsafe(16)}", api=f"http://127.0.0.1:{port}"
    )
    settings = replace(settings, telegram=telegram)
    tell("starting NATS, PostgreSQL and the Bot API emulator")
    settings, _ = await asyncio.gather(
        start_servers(supervisor, settings),
        supervisor.start(_emulator(settings, port)),
    )
    async with open_house(settings, ADMIN) as house:
        await furnish(house)
    return settings


def _emulator(settings: Settings, port: int) -> Child:
    argv = ("-m", "adapters.telegram.emulator", "--port", str(port))
    return Child(
        name="emulator",
        argv=(sys.executable, *argv, "--token", settings.telegram.token),
        env={},
        log=settings.folder / "run" / "emulator.log",
        ready=partial(_listens, port),
    )


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _choose_model(house: House, wanted: bool) -> None:
    """The synthetic model serves, or none does."""
    if wanted:
        model, _ = await register_bundle(house, DEMO_BUNDLE)
        await models.promote(house.books, house.operator(), model, "demo")
        return
    while serving := await models.serving(house.models()):
        await models.retire(house.books, house.operator(), serving[0], "collection only")


def _next_run(folder: Path) -> int:
    counter = folder / "runs"
    number = int(counter.read_text()) + 1 if counter.exists() else 1
    folder.mkdir(parents=True, exist_ok=True)
    counter.write_text(str(number))
    return number


def _is_final(model: bool, language: str) -> Callable[[Message], bool]:
    """Does a card say its last word: an answer (or thanks), or that no image can be used?"""
    thanks, unusable = plainly(language, "collected"), plainly(language, "unusable")

    def is_final(message: Message) -> bool:
        said = answers(message) if model else thanks in message.text
        return said or unusable in message.text

    return is_final
