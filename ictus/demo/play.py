"""Plays the demo: starts the stack, lets clinicians work, builds the dataset twice, tells the result."""

import asyncio
import random
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count, islice
from pathlib import Path

from msgspec import Struct

from adapters.datasets.layout import Manifest
from ictus.cli.errors import INTERRUPTED, OK, PARTIAL
from ictus.cli.options import put_json, put_table, tell
from ictus.datasets import build_dataset
from ictus.demo.chaos import Chaos
from ictus.demo.clinician import Clinician, Sent, answers
from ictus.demo.page import write_page
from ictus.demo.result import Result, measure
from ictus.demo.stage import Stage, set_stage
from ictus.settings import Settings
from training.synthetic.facts import Plan as Cases
from training.synthetic.truth import Parcel, parcel

CASES_PER_CLINICIAN = 4
START_SPACING_SECONDS = 1.2
FIRST_SEED = 1_000_000
"""No case that the demo plays was ever trained on: `ictus synth` begins at 0."""
EVIDENCE_OF = {"cardioembolic": "ecg", "large-artery": "stenosis"}


class Plan(Struct, frozen=True, kw_only=True):
    cases: int
    chaos: int
    seed: int
    model: bool
    image: Path | None


class Run(Struct, frozen=True):
    """One demo on an open stage."""

    plan: Plan
    stage: Stage


async def play(plan: Plan, settings: Settings, json: bool) -> int:
    """Returns the exit code: 0 when every case came through, else 7."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        run = Run(plan, await set_stage(settings, plan.model, stack))
        tell(f"everything runs after {time.monotonic() - started:.0f} s; clinicians begin")
        sent = await _work(run)
        tell("building the dataset from the stream, twice, and comparing")
        result = await measure(run.stage.house, sent, *await _datasets(run))
        page = await write_page(run.stage.house, run.stage.telegram, sent, result)
        _told(result, sent, page, json)
        return OK if result.is_whole(plan.cases, plan.model) else PARTIAL
    return INTERRUPTED


# The clinicians' work


async def _work(run: Run) -> list[Sent]:
    stage = run.stage
    token, admin_token = await stage.invitation("clinician"), await stage.invitation("admin")
    crew = [await stage.clinician(n) for n in range(_crew_size(run.plan.cases))]
    admin, stranger = await stage.clinician(len(crew)), await stage.clinician(len(crew) + 1)
    await admin.join(admin_token)
    await asyncio.gather(_let_in(admin, stranger), *(one.join(token) for one in crew))
    tell(f"{len(crew) + 2} people joined, one of them asked for access and was approved")
    crew[-1] = stranger
    plans = _cases(run.plan)
    progress = _progress(run.plan.cases)
    chaos = Chaos(stage.supervisor, run.plan.chaos, run.plan.cases, random.Random(run.plan.seed))
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
    plans: list[tuple[int, Parcel]],
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
        if not await clinician.is_refused(sent):
            await _follow_up(clinician, index, sent, case)
    return done


async def _follow_up(clinician: Clinician, index: int, sent: Sent, case: Parcel) -> None:
    """Some tell whether atrial fibrillation is known, some agree, every other one knows the cause."""
    if index % 5 == 0 and case.truth.af != "unknown":
        await clinician.tell_af(sent, case.truth.af)
    if index % 3 == 0 and sent.waited_s is not None and await _is_answered(clinician, sent):
        await clinician.agree(sent)
    if index % 2 == 0:
        await clinician.confirm(sent, EVIDENCE_OF[case.truth.cause])


async def _is_answered(clinician: Clinician, sent: Sent) -> bool:
    return any(m.code == sent.code and answers(m) for m in await clinician.person.chat())


def _crew_size(cases: int) -> int:
    return max(1, -(-cases // CASES_PER_CLINICIAN))


def _cases(plan: Plan) -> list[tuple[int, Parcel]]:
    """(index, case): from the seed; all have at least two images, so that each can be an album."""
    drawn = (parcel(Cases(seed=FIRST_SEED + plan.seed), number) for number in count())
    albums = (case for case in drawn if len(case.pictures) > 1)
    return list(enumerate(islice(albums, plan.cases)))


def _progress(total: int) -> Callable[[Sent], None]:
    numbers = count(1)

    def tell_one(sent: Sent) -> None:
        waited = f"{sent.waited_s:.1f} s" if sent.waited_s is not None else "no answer"
        tell(f"{next(numbers):>3}/{total}  {sent.code or '?'}  {sent.photos} images  {waited}")

    return tell_one


async def _datasets(run: Run) -> tuple[list[Manifest], list[Path]]:
    """Built twice from the stream, up to the same event, into two folders."""
    folder = run.stage.house.settings.folder / "datasets" / f"run-{run.stage.number}"
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    as_of = (await run.stage.house.books.ledger.head()).sequence
    folders = [folder / name for name in ("a", "b")]
    return [await build_dataset(run.stage.house, one, as_of, None) for one in folders], folders


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
