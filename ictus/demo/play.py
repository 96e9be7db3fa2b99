"""Plays the demo: starts the stack, lets clinicians work, builds the dataset twice, tells the result."""

import asyncio
import random
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from adapters.datasets.layout import Manifest
from adapters.storage.users import ADMIN
from commands import cases, models, people
from domain.case import Case
from domain.person import Role
from ictus.cli.errors import INTERRUPTED, OK, PARTIAL
from ictus.cli.options import put_json, put_table, tell
from ictus.datasets import build_dataset
from ictus.demo.chaos import Chaos
from ictus.demo.clinician import Clinician, Sent, answers
from ictus.demo.page import write_page
from ictus.demo.result import Result, measure
from ictus.demo.telegram import Message, Telegram
from ictus.kept import free_port
from ictus.models import DEMO_BUNDLE, register_bundle
from ictus.settings import Settings, TelegramSettings
from ictus.stack import start_roles, start_servers
from ictus.supervisor import Child, Supervisor
from ictus.wiring import House, furnish, open_house
from training.synth import SyntheticCase, case as synthetic_case
from workers.texts import LANGUAGES, plainly

CASES_PER_CLINICIAN = 4
START_SPACING_SECONDS = 1.2
SITE = "demo"
BOT_ID_FIRST, USER_ID_FIRST = 7_000_000_000, 5_000_000_000
USERS_PER_RUN = 10_000
EVIDENCE_OF = {"cardioembolic": "ecg", "large-artery": "stenosis"}


class Plan(Struct, frozen=True, kw_only=True):
    cases: int
    chaos: int
    seed: int
    model: bool
    image: Path | None


class Run(Struct, frozen=True):
    """One demo on an open stack. `number` counts the runs in this data directory."""

    plan: Plan
    number: int
    house: House
    telegram: Telegram
    supervisor: Supervisor


async def play(plan: Plan, settings: Settings, json: bool) -> int:
    """Returns the exit code: 0 when every case came through, else 7."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor(settings.folder / "run"))
        run = await _set_up(plan, settings, supervisor, stack)
        tell(f"everything runs after {time.monotonic() - started:.0f} s; clinicians begin")
        sent = await _work(run)
        tell("building the dataset from the stream, twice, and comparing")
        result = await measure(run.house, sent, *await _datasets(run))
        page = await write_page(run.house, run.telegram, sent, result)
        _told(result, sent, page, json)
        return OK if result.is_whole(plan.cases, plan.model) else PARTIAL
    return INTERRUPTED


async def _set_up(
    plan: Plan, settings: Settings, supervisor: Supervisor, stack: AsyncExitStack
) -> Run:
    number = _next_run(settings.folder)
    token = f"{BOT_ID_FIRST + number}:{token_urlsafe(16)}"
    port = free_port()
    settings = replace(
        settings, telegram=TelegramSettings(token=token, api=f"http://127.0.0.1:{port}")
    )
    tell("starting NATS, PostgreSQL and the Bot API emulator")
    settings, _ = await asyncio.gather(
        start_servers(supervisor, settings),
        supervisor.start(_emulator(settings, port)),
    )
    async with open_house(settings, ADMIN) as house:
        await furnish(house)
    house = await stack.enter_async_context(open_house(settings, "operator"))
    await _choose_model(house, plan.model)
    tell("starting all roles (importing the bot library takes some seconds)")
    await start_roles(supervisor, settings)
    telegram = await stack.enter_async_context(Telegram(settings.telegram.api))
    return Run(plan, number, house, telegram, supervisor)


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


# The clinicians' work


async def _work(run: Run) -> list[Sent]:
    token, admin_token = await _invitation(run, "clinician"), await _invitation(run, "admin")
    crew = [await _clinician(run, n) for n in range(_crew_size(run.plan.cases))]
    admin, stranger = await _clinician(run, len(crew)), await _clinician(run, len(crew) + 1)
    await admin.join(admin_token)
    await asyncio.gather(_let_in(admin, stranger), *(one.join(token) for one in crew))
    tell(f"{len(crew) + 2} people joined, one of them asked for access and was approved")
    crew[-1] = stranger
    plans = _cases(run.plan)
    progress = _progress(run.plan.cases)
    chaos = Chaos(run.supervisor, run.plan.chaos, run.plan.cases, random.Random(run.plan.seed))
    shifts = [
        _shift(one, number, plans[number :: len(crew)], chaos, progress)
        for number, one in enumerate(crew)
    ]
    done = await asyncio.gather(*shifts)
    await chaos.finished()
    sent = [one for shift in done for one in shift]
    if run.plan.image is not None:
        tell(f"sending {run.plan.image}")
        data = await asyncio.to_thread(run.plan.image.read_bytes)
        sent.append(await admin.send_file(run.plan.image.name, data))
    return sent


async def _let_in(admin: Clinician, stranger: Clinician) -> None:
    async def approve() -> None:
        asked = await admin.person.until(
            lambda m: any(a.startswith("ok:") for a in m.actions()), 180, "a stranger's request"
        )
        await admin.person.press(asked, next(a for a in asked.actions() if a.startswith("ok:")))

    await asyncio.gather(approve(), stranger.ask_access())


async def _shift(
    clinician: Clinician,
    number: int,
    plans: list[tuple[int, SyntheticCase]],
    chaos: Chaos,
    progress: Callable[[Sent], None],
) -> list[Sent]:
    """One clinician's cases, one after the other: the first a single photo, the others albums."""
    done: list[Sent] = []
    await asyncio.sleep(number * START_SPACING_SECONDS)
    for order, (index, case) in enumerate(plans):
        chaos.case_sent()
        sent = await clinician.send(case, single=order == 0)
        progress(sent)
        done.append(sent)
        if sent.code is not None:
            await _follow_up(clinician, index, sent, case)
    return done


async def _follow_up(clinician: Clinician, index: int, sent: Sent, case: SyntheticCase) -> None:
    """Some tell whether atrial fibrillation is known, some agree, every other one knows the cause."""
    if index % 5 == 0 and case.af != "unknown":
        await clinician.tell_af(sent, case.af)
    if index % 3 == 0 and sent.waited_s is not None and await _is_answered(clinician, sent):
        await clinician.agree(sent)
    if index % 2 == 0:
        await clinician.confirm(sent, EVIDENCE_OF[case.cause])


async def _is_answered(clinician: Clinician, sent: Sent) -> bool:
    return any(m.code == sent.code and answers(m) for m in await clinician.person.chat())


def _crew_size(count: int) -> int:
    return max(1, -(-count // CASES_PER_CLINICIAN))


def _cases(plan: Plan) -> list[tuple[int, SyntheticCase]]:
    """(index, case): from the seed; all have at least two images, so that each can be an album."""
    made: list[tuple[int, SyntheticCase]] = []
    seed = plan.seed * 100_000
    while len(made) < plan.cases:
        case = synthetic_case(seed)
        seed += 1
        if len(case.images) > 1:
            made.append((len(made), case))
    return made


async def _clinician(run: Run, number: int) -> Clinician:
    language = LANGUAGES[number % len(LANGUAGES)]
    user = USER_ID_FIRST + run.number * USERS_PER_RUN + number
    person = await run.telegram.person(user, f"Demo Clinician {number + 1}", language)
    return Clinician(person, _is_final(run.plan.model, language), partial(_load, run.house))


async def _load(house: House, case: UUID) -> Case:
    return await cases.load(house.books, case)


def _is_final(model: bool, language: str) -> Callable[[Message], bool]:
    """Does a card say its last word: an answer (or thanks), or that no image can be used?"""
    thanks, unusable = plainly(language, "collected"), plainly(language, "unusable")

    def is_final(message: Message) -> bool:
        said = answers(message) if model else thanks in message.text
        return said or unusable in message.text

    return is_final


async def _invitation(run: Run, role: Role) -> str:
    token = token_urlsafe(24)
    await people.issue_invitation(
        run.house.books,
        run.house.operator(),
        token,
        role=role,
        site=SITE,
        uses_max=100,
        valid=timedelta(days=1),
    )
    return token


def _progress(total: int) -> Callable[[Sent], None]:
    count = 0

    def tell_one(sent: Sent) -> None:
        nonlocal count
        count += 1
        waited = f"{sent.waited_s:.1f} s" if sent.waited_s is not None else "no answer"
        tell(f"{count:>3}/{total}  {sent.code or '?'}  {sent.photos} images  {waited}")

    return tell_one


async def _datasets(run: Run) -> tuple[list[Manifest], list[Path]]:
    """Built twice from the stream, up to the same event, into two folders."""
    folder = run.house.settings.folder / "datasets" / f"run-{run.number}"
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    as_of = (await run.house.books.ledger.head()).sequence
    folders = [folder / name for name in ("a", "b")]
    return [await build_dataset(run.house, one, as_of, None) for one in folders], folders


# Telling


def _told(result: Result, sent: list[Sent], page: Path, json: bool) -> None:
    rows = [
        (
            one.code,
            one.person.name,
            one.photos,
            one.truth,
            f"{one.waited_s:.1f}" if one.waited_s else "-",
        )
        for one in sent
    ]
    example = next((one.code for one in sent if one.code), "CODE")
    if json:
        put_json(result)
        return
    put_table("What happened", ("case", "clinician", "images", "synthetic truth", "seconds"), rows)
    put_table(
        "Result", ("", ""), [(name, getattr(result, name)) for name in result.__struct_fields__]
    )
    tell(f"the chats, images and timelines: {page}")
    tell("try next:")
    for command in (
        f"case show {example} --data .ictus/demo",
        "events --data .ictus/demo --type ictus.case.prediction-produced",
        "dataset build --data .ictus/demo --out my-dataset",
    ):
        tell(f"  .venv/bin/ictus {command}")
