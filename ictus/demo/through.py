"""Synthetic cases of version 2 through everything: servers, roles, Bot API; and what came back.

The house is one of the demo's kind (a demo ledger, the synthetic model, a local Bot API emulator).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count as counted
from statistics import median
from uuid import UUID

from msgspec import Struct

from domain.case import Case as Known, PredictionDeclined, PredictionProduced
from domain.stroke import PREDICTED
from ictus.cli.errors import INTERRUPTED, OK, PARTIAL
from ictus.cli.options import tell
from ictus.demo.clinician import Clinician, Sent
from ictus.demo.result import percentile
from ictus.demo.stage import Stage, set_stage
from ictus.settings import Settings
from training.synthetic import NOTICE, VERSION
from training.synthetic.facts import Plan
from training.synthetic.oracle import oracle_auroc
from training.synthetic.truth import Parcel

CREW_MAX = 8
CASES_PER_CLINICIAN = 4
LOST, UNKNOWN = "no card", "no outcome"
FATE_SECONDS_MAX, POLL_SECONDS = 60.0, 0.5

Progress = Callable[[int, int], None]


class Outcome(Struct, frozen=True, kw_only=True):
    """One case beside its truth; or, with `hostile`, a file added to it. `said`: the cause answered,
    `abstained`, a reason why nothing was predicted, `unusable` when ingest took no picture, `no card`;
    of a hostile file ingest's reason, `ingested`, `no outcome`."""

    code: str | None
    number: int
    pictures: int
    said: str
    cause: str = ""
    pattern: str = ""
    hostile: str | None = None
    posterior_permille: int | None = None
    seconds: float | None = None


class Returned(Struct, frozen=True, kw_only=True):
    """What came back of all cases. `right` of `answered`: cases whose cause a model can say."""

    notice: str
    generator: str
    house: str
    mode: str
    difficulty: float
    seed: int
    cases: int
    pictures: int
    hostile: int
    said: dict[str, int]
    lost: int
    answered: int
    right: int
    oracle_auroc: float
    p50_s: float
    p95_s: float
    outcomes: tuple[Outcome, ...]


async def push(
    plan: Plan, cases: Iterator[Parcel], count: int, settings: Settings, told: Progress
) -> tuple[int, Returned | None]:
    """Exit code and what came back: 0 when every case has a card, else 7. `count` cases are drawn as
    they are sent."""
    async with AsyncExitStack() as stack:
        stage = await set_stage(settings, True, stack)
        tell(
            f"a demo house runs in {settings.folder}, with a local Bot API emulator:"
            f" {count} cases are sent"
        )
        outcomes = await _work(stage, cases, count, told)
        returned = _returned(plan, settings, outcomes)
        return PARTIAL if returned.lost else OK, returned
    return INTERRUPTED, None


async def _work(stage: Stage, cases: Iterator[Parcel], count: int, told: Progress) -> list[Outcome]:
    done: list[Outcome] = []
    numbers, drawing = counted(), asyncio.Lock()

    async def drawn() -> Parcel | None:
        async with drawing:
            return await asyncio.to_thread(next, cases, None)

    async def shift() -> None:
        token = await stage.invitation("clinician")
        clinician = await _joined(stage, next(numbers), token)
        is_new = True
        while case := await drawn():
            if not is_new and len(case.pictures) == 1:
                clinician = await _joined(stage, next(numbers), token)
            is_new = False
            done.extend(await _sent(stage, clinician, case))
            told(sum(one.hostile is None for one in done), count)

    size = min(CREW_MAX, -(-count // CASES_PER_CLINICIAN))
    await asyncio.gather(*(shift() for _ in range(size)))
    return sorted(done, key=lambda one: (one.number, one.hostile or ""))


async def _joined(stage: Stage, number: int, token: str) -> Clinician:
    """Somebody new. A single photo is sent by one, since soon after others it would be one of theirs."""
    clinician = await stage.clinician(number)
    await clinician.join(token)
    return clinician


async def _sent(stage: Stage, clinician: Clinician, case: Parcel) -> list[Outcome]:
    """The pictures of a case as one album; a hostile file is added to the case afterwards."""
    truth = case.truth
    sent = await clinician.send_pictures(case.pictures, truth.cause)
    known = await stage.load(sent.case_id) if sent.case_id else None
    outcome = Outcome(
        code=sent.code,
        number=truth.number,
        cause=truth.cause,
        pattern=truth.pattern,
        pictures=sent.photos,
        posterior_permille=truth.posterior_permille,
        said=_said(sent, known),
        seconds=sent.waited_s,
    )
    if case.hostile is None or known is None:
        return [outcome]
    return [outcome, await _added(stage, clinician, sent, known, case)]


async def _added(
    stage: Stage, clinician: Clinician, sent: Sent, known: Known, case: Parcel
) -> Outcome:
    """A file that is no scan, sent right after the case's answer, and what ingest made of it."""
    assert case.hostile is not None
    assert sent.case_id is not None
    assert case.truth.hostile is not None
    name, data = case.hostile
    await clinician.person.document(data, name, "application/octet-stream")
    return Outcome(
        code=sent.code,
        number=case.truth.number,
        hostile=case.truth.hostile.kind,
        pictures=1,
        said=await _fate(stage, sent.case_id, known),
    )


async def _fate(stage: Stage, case: UUID, before: Known) -> str:
    """Of what was added to a case since."""
    for _ in range(int(FATE_SECONDS_MAX / POLL_SECONDS)):
        images = (await stage.load(case)).images
        new = [image.outcome for item, image in images.items() if item not in before.images]
        if new and new[0]:
            return getattr(new[0], "reason", "ingested")
        await asyncio.sleep(POLL_SECONDS)
    return UNKNOWN


def _said(sent: Sent, known: Known | None) -> str:
    if sent.code is None:
        return LOST
    match known.prediction if known else None:
        case PredictionProduced(chosen=chosen):
            return chosen[0] if len(chosen) == 1 else "abstained"
        case PredictionDeclined(reason=reason):
            return reason
    return "unusable"


def _returned(plan: Plan, settings: Settings, outcomes: list[Outcome]) -> Returned:
    seconds = [one.seconds for one in outcomes if one.seconds is not None]
    answered = [one for one in outcomes if one.said in PREDICTED and one.cause in PREDICTED]
    return Returned(
        notice=NOTICE["en"],
        generator=VERSION,
        house=str(settings.folder),
        mode=plan.mode,
        difficulty=plan.hardness,
        seed=plan.seed,
        cases=sum(one.hostile is None for one in outcomes),
        pictures=sum(one.pictures for one in outcomes),
        hostile=sum(one.hostile is not None for one in outcomes),
        said=dict(sorted(Counter(one.said for one in outcomes).items())),
        lost=sum(one.said in {LOST, UNKNOWN} for one in outcomes),
        answered=len(answered),
        right=sum(one.said == one.cause for one in answered),
        oracle_auroc=round(oracle_auroc(plan), 4),
        p50_s=round(median(seconds), 2) if seconds else 0.0,
        p95_s=round(percentile(seconds, 0.95), 2) if seconds else 0.0,
        outcomes=tuple(outcomes),
    )
