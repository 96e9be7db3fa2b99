"""From the last photo to the answer, through the whole house: bot, ledger, ingest, model, card.

python -m benchmarks.endtoend [--cases 20] [--invalid 0.2] [--ledger 0] [--clinicians 2] [--json]

Real servers and roles on this machine, a local Bot API, and clinicians who each send the next case when
the last one was answered. `--invalid` is the share of requests that are no scans: truncated, huge,
mislabelled, hostile files (`training.synthetic.hostile`), each told to be an image. `--ledger` puts so
many events of other cases into the ledger beforehand. The limit is what the same machine needs, in the
same run, for the same kind of case without any of us around it: de-identifying its images one after
the other and one prediction. A table goes to stderr, unless `--json` asks for the JSON line alone.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count, islice
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from msgspec import Struct

from adapters.storage.nats_connection import connect
from adapters.storage.streams import LEDGER, SCHEDULE
from adapters.storage.users import ADMIN
from benchmarks.measuring import show
from benchmarks.stories import imported
from ictus.cli.options import tell
from ictus.demo.clinician import Clinician
from ictus.demo.result import percentile
from ictus.demo.stage import Stage, set_stage
from ictus.demo.telegram import Timeout
from ictus.embedded import nats_at
from ictus.models import DEMO_BUNDLE
from ictus.settings import Settings
from ictus.stack import start_servers
from ictus.supervisor import Supervisor
from ictus.wiring import furnish, open_house
from training.synthetic.facts import Plan
from training.synthetic.hostile import DRAWN, File, make
from training.synthetic.truth import Parcel, parcel
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.ingest.pipeline import Ingested, process

FIRST_SEED = 2_000_000
LIMIT_CASES = 12
INVALID_SECONDS_MAX = 60.0
SETTLE_SECONDS_MAX = 900.0
TENTHS = 10


class Waited(Struct, frozen=True):
    """A request, in the order they were sent; `seconds` is None where no answer came."""

    number: int
    is_valid: bool
    seconds: float | None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endtoend")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--invalid", type=float, default=0.0, help="share of the cases")
    parser.add_argument("--ledger", type=int, default=0, help="events that are there before")
    parser.add_argument("--clinicians", type=int, default=2, help="who send at the same time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    given = parser.parse_args(arguments)
    limits = bare_seconds(given.seed)
    with TemporaryDirectory(prefix="ictus-bench-") as folder:
        settings = Settings(data=folder, origin="demo")
        if given.ledger:
            asyncio.run(filled(settings, given.ledger))
        waited, seconds = asyncio.run(worked(settings, given))
    outcome = figures(waited, seconds, given.ledger) | compared(waited, limits)
    if not given.json:
        show("From photo to answer", outcome, "not measured")
    print(json.dumps(outcome))


# The limit


def bare_seconds(seed: int) -> list[float]:
    """Seconds of bare work per case."""
    classifier = Classifier.load(DEMO_BUNDLE)
    return [_bare(classifier, case) for case in islice(_albums(seed), LIMIT_CASES)]


def _albums(seed: int) -> Iterator[Parcel]:
    """Cases of two pictures and more."""
    drawn = (parcel(Plan(seed=FIRST_SEED + seed), number) for number in count())
    return (case for case in drawn if len(case.pictures) > 1)


def _bare(classifier: Classifier, case: Parcel) -> float:
    started = time.perf_counter()
    outcomes = [process(data) for data, _ in case.pictures]
    seen = [outcome for outcome in outcomes if isinstance(outcome, Ingested)]
    if seen:
        images = [outcome.derivative for outcome in seen]
        classifier.predict(images, Context(af=case.truth.af), [one.sequences for one in seen])
    return time.perf_counter() - started


# The ledger beforehand


async def filled(settings: Settings, events: int) -> None:
    """Before any role runs: whole cases that were taken in from existing data."""
    async with Supervisor(settings.folder / "run") as supervisor:
        running = await start_servers(supervisor, settings)
        async with open_house(running, ADMIN) as house:
            await furnish(house)
            head = (await house.books.ledger.head()).sequence
            await house.books.ledger.append_many(imported(events, "endtoend", head))  # type: ignore[attr-defined]
    tell(f"{events} events lie in the ledger")


async def settled(settings: Settings) -> None:
    """Every role has seen what lay there before it started."""
    async with await connect(nats_at(settings.folder).url, "bench") as client:
        stream = client.jetstream()
        async with asyncio.timeout(SETTLE_SECONDS_MAX):
            while True:
                infos = await stream.consumers_info(LEDGER) + await stream.consumers_info(SCHEDULE)
                named = [info for info in infos if info.config.durable_name]
                waiting = sum((i.num_pending or 0) + (i.num_ack_pending or 0) for i in named)
                due = (await stream.stream_info(SCHEDULE)).state.messages
                if not waiting and not due:
                    return
                await asyncio.sleep(1)


# The work


async def worked(settings: Settings, given: argparse.Namespace) -> tuple[list[Waited], float]:
    """What each request waited, and how long all took together."""
    async with AsyncExitStack() as stack:
        stage = await set_stage(settings, True, stack)
        if given.ledger:
            await settled(settings)
        token = await stage.invitation("clinician")
        people = count()
        newcomer = partial(_joined, stage, token, people)
        plan = iter(list(enumerate(_plan(given.cases, given.invalid, given.seed))))
        started = time.monotonic()
        shifts = [_shift(newcomer, plan) for _ in range(given.clinicians)]
        done = [one for shift in await asyncio.gather(*shifts) for one in shift]
        took = time.monotonic() - started
    return sorted(done, key=lambda one: one.number), took


def _plan(cases: int, invalid: float, seed: int) -> Iterator[Parcel | File]:
    """The invalid ones evenly among the others, kind after kind."""
    kinds, albums = count(), _albums(seed)
    for at in range(cases):
        if int((at + 1) * invalid) > int(at * invalid):
            kind = next(kinds)
            yield make(DRAWN[kind % len(DRAWN)], np.random.default_rng([seed, kind]))
        else:
            yield next(albums)


async def _joined(stage: Stage, token: str, numbers: Iterator[int]) -> Clinician:
    clinician = await stage.clinician(next(numbers))
    await clinician.join(token)
    return clinician


async def _shift(
    newcomer: Callable[[], Any], plan: Iterator[tuple[int, Parcel | File]]
) -> list[Waited]:
    """One clinician's requests, one after the other. A single file is sent by somebody new, since soon
    after others it would be one of theirs."""
    clinician = await newcomer()
    done = []
    for number, request in plan:
        if isinstance(request, File):
            seconds = await _invalid(await newcomer(), request)
        else:
            seconds = (await clinician.send(request, single=False)).waited_s
        done.append(Waited(number, not isinstance(request, File), seconds))
        tell(f"{number + 1:>4}  {'-' if seconds is None else f'{seconds:.1f} s'}")
    return done


async def _invalid(clinician: Clinician, file: File) -> float | None:
    """Until the card says what is the matter, or a message does."""
    started = time.monotonic()
    person = clinician.person
    before = max((message.id for message in await person.chat()), default=0)
    await person.document(file.data, file.name, "image/jpeg")
    try:
        await person.until(
            lambda m: m.by_bot and m.id > before and (m.code is None or clinician.final(m)),
            INVALID_SECONDS_MAX,
            "a word about a file that is no scan",
        )
    except Timeout:
        return None
    return time.monotonic() - started


# What it comes to


def figures(waited: Sequence[Waited], seconds: float, ledger: int) -> dict[str, Any]:
    """Seconds are of the valid cases that were answered."""
    invalid = [one for one in waited if not one.is_valid]
    told = [one.seconds for one in waited if one.is_valid and one.seconds is not None]
    tenth = max(1, len(told) // TENTHS)
    answered = sum(one.seconds is not None for one in invalid)
    return {
        "cases": len(waited),
        "invalid": len(invalid),
        "invalid_answered_share": round(answered / len(invalid), 3) if invalid else None,
        "answered": len(told),
        "p50_s": _at(told, 0.5),
        "p95_s": _at(told, 0.95),
        "cases_per_min": round(60 * len(waited) / seconds, 1),
        "p95_first_tenth_s": _at(told[:tenth], 0.95),
        "p95_last_tenth_s": _at(told[-tenth:], 0.95),
        "p50_first_tenth_s": _at(told[:tenth], 0.5),
        "p50_last_tenth_s": _at(told[-tenth:], 0.5),
        "ledger_before": ledger,
    }


def compared(waited: Sequence[Waited], limits: Sequence[float]) -> dict[str, Any]:
    told = [one.seconds for one in waited if one.is_valid and one.seconds is not None]
    limit = median(limits)
    return {
        "limit_p50_s": round(limit, 3),
        "limit_p95_s": round(percentile(limits, 0.95), 3),
        "p50_over_limit": round(median(told) / limit, 1) if told else None,
    }


def _at(seconds: Sequence[float], share: float) -> float | None:
    return round(percentile(seconds, share), 2) if seconds else None


if __name__ == "__main__":
    main()
