"""Images that were ingested once are ingested again by another profile, as new events beside the old.

What was made before stays where it is. What is made now is what the case shows and what is predicted from
next; a dataset takes it too, unless its spec names a profile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from os import cpu_count
from typing import Literal, NamedTuple
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from commands import cases, objects
from commands.objects import ORIGINALS
from commands.ports import Erased, Missing
from commands.transact import from_outside
from domain.case import Case, Image, ImageIngested, ImageQuarantined, ImageRejected, Opened
from domain.errors import NoSuchCase
from domain.events import CASE, Recorded, fold
from domain.identity import reaction
from domain.sealed import additional_data
from ictus.wiring import House
from workers.ingest.keeping import Keeping
from workers.ingest.outcome import Ingested, Refused
from workers.ingest.pipeline import LOOKING, named
from workers.ingest.sandbox import Sandbox

ROLE = "reingest"

What = Literal["reingested", "ready", "already", "nothing-kept", "original-gone", "failed"]
LEFT_OUT: tuple[What, ...] = ("original-gone", "failed")
PASSING = frozenset({"decoder-failed", "time-limit"})
"""Refusals that say more of this machine today than of the image: they replace nothing."""


class BadProfile(Exception):
    """There is no profile of this name."""


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one image; `ready` is what a dry run says of one that would be ingested. `became` and
    `reason` tell what the profile made of it, `changed` whether that is another derivative than before."""

    case: UUID
    code: str
    item: UUID
    outcome: What = "already"
    became: Literal["ingested", "rejected", "quarantined", ""] = ""
    reason: str = ""
    changed: bool = False


class Means(NamedTuple):
    """`profile` is the full name; without a sandbox nothing is done, only told."""

    house: House
    profile: str
    sandbox: Sandbox | None


async def all_cases(house: House) -> list[UUID]:
    """Every case that was ever opened, the oldest first."""
    events = house.books.ledger.read(0, CASE.name)
    return [each.aggregate_id async for each in events if isinstance(each.event, Opened)]


def must_be_a_profile(name: str) -> None:
    """Raises BadProfile."""
    if name not in LOOKING:
        raise BadProfile(f"there is no profile `{name}`: name one of {', '.join(LOOKING)}")


async def reingest(
    house: House,
    profile: str,
    ids: Sequence[UUID],
    dry_run: bool,
    tell: Callable[[Outcome], None],
    advance: Callable[[int, int], None],
) -> None:
    """Case after case, some side by side; tells what became of each image. What was told is done, and
    repeating goes on there. Raises NoSuchCase, BadProfile, Unavailable."""
    must_be_a_profile(profile)
    children = cpu_count() or 1
    async with sandbox_of(profile, children, dry_run) as sandbox:
        means = Means(house, named(profile), sandbox)
        for start in range(0, len(ids), children):
            window = ids[start : start + children]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(outcomes(means, case)) for case in window]
            for outcome in chain.from_iterable(task.result() for task in tasks):
                tell(outcome)
            advance(start + len(window), len(ids))


@asynccontextmanager
async def sandbox_of(profile: str, children: int, dry_run: bool) -> AsyncIterator[Sandbox | None]:
    if dry_run:
        yield None
        return
    async with Sandbox(children, profile=profile) as sandbox:
        yield sandbox


async def outcomes(means: Means, case: UUID) -> list[Outcome]:
    """Of all images of a case that ingest has spoken of; none of a withdrawn case. Raises NoSuchCase."""
    history = await means.house.books.ledger.load(CASE.name, case)
    state: Case = fold(CASE, history)
    if state.opened is None:
        raise NoSuchCase(f"no case `{case}`")
    if state.withdrawn:
        return []
    return [
        await _outcome(means, history, image, Outcome(case=case, code=state.opened.code, item=item))
        for item, image in state.images.items()
        if image.outcome is not None
    ]


async def _outcome(
    means: Means, history: Sequence[Recorded], image: Image, about: Outcome
) -> Outcome:
    assert image.outcome is not None
    if image.outcome.profile == means.profile:
        return about
    spoken = [each for each in history if _speaks_of(each, about.item)]
    digest = await _original(means, spoken)
    if digest is None:
        return replace(about, outcome="nothing-kept")
    try:
        if means.sandbox is None:
            return await _would_be(means, about, digest)
        return await _done(means, means.sandbox, image, spoken[-1], digest, about)
    except (Missing, Erased):
        return replace(about, outcome="original-gone")


async def _would_be(means: Means, about: Outcome, digest: str) -> Outcome:
    key = objects.object_key(about.case, digest, ORIGINALS)
    there = await means.house.blobs.exists(key)
    return replace(about, outcome="ready" if there else "original-gone")


async def _done(
    means: Means, sandbox: Sandbox, image: Image, last: Recorded, digest: str, about: Outcome
) -> Outcome:
    """One request for each time that this profile follows another one. Raises Missing, Erased."""
    books, blobs, case = means.house.books, means.house.blobs, about.case
    data = await objects.fetch(blobs, books.vault, case, digest, ORIGINALS)
    made = await sandbox.process(data)
    if isinstance(made, Refused) and made.reason in PASSING:
        return replace(about, outcome="failed", reason=made.reason)
    outcome = await Keeping(books.vault, blobs, means.profile).of(case, image.submitted, data, made)
    request_id = reaction(last.id, f"{ROLE}/{means.profile}")
    request = from_outside(books, request_id, "system", ROLE)
    done = await cases.record_reingestion(books, request, case, outcome)
    return replace(
        about,
        outcome="reingested" if done else "already",
        became="ingested" if isinstance(made, Ingested) else made.outcome,
        reason=made.reason if isinstance(made, Refused) else "",
        changed=_derivative(outcome) != _derivative(image.outcome),
    )


async def _original(means: Means, spoken: Sequence[Recorded]) -> str | None:
    """The hash of the bytes as sent, if they were ever kept."""
    for recorded in reversed(spoken):
        if isinstance(recorded.event, ImageIngested | ImageQuarantined):
            aad = additional_data(recorded.id, "original")
            return await means.house.books.vault.unseal(recorded.event.original, aad)
    return None


def _speaks_of(recorded: Recorded, item: UUID) -> bool:
    event = recorded.event
    return isinstance(event, SPEAKING) and event.item == item


def _derivative(outcome: object) -> str:
    return outcome.derivative if isinstance(outcome, ImageIngested) else ""


SPEAKING = (ImageIngested, ImageRejected, ImageQuarantined)
