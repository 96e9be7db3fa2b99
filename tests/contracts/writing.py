"""Requests, events and commits for the contract tests, and ways to write and read them."""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

from commands.ports import Commit, Conflict, Ledger
from domain.events import NO_HASH, Recorded, Request
from domain.person import Consented


def new_request() -> Request:
    return Request(
        id=uuid4(),
        actor="system",
        source="/ictus/test",
        time=datetime.now(UTC),
        correlation=uuid4(),
    )


def event(notice: str = "a") -> Consented:
    return Consented(notice=notice, language="en", text_sha256="0" * 64)


def commit_to(person: UUID, *notices: str, after: Recorded | None = None) -> Commit:
    """Events on top of `after`, told apart by their notices."""
    return Commit(
        aggregate="person",
        aggregate_id=person,
        events=tuple(event(notice) for notice in notices),
        expected=after.sequence if after else 0,
        prevhash=after.hash if after else NO_HASH,
    )


def notices(history: Sequence[Recorded]) -> list[str]:
    events = [recorded.event for recorded in history]
    return [event.notice for event in events if isinstance(event, Consented)]


async def read(ledger: Ledger, after: int = 0, aggregate: str | None = None) -> list[Recorded]:
    return [recorded async for recorded in ledger.read(after, aggregate)]


async def followed(ledger: Ledger, count: int, after: int = 0) -> list[Recorded]:
    seen: list[Recorded] = []
    async with aclosing(ledger.follow(after)) as events:
        async for recorded in events:
            seen.append(recorded)
            if len(seen) == count:
                break
    return seen


async def insist(ledger: Ledger, person: UUID, notice: str) -> int:
    """Loads and appends until nobody came between."""
    request = new_request()
    while True:
        history = await ledger.load("person", person)
        with suppress(Conflict):
            after = history[-1] if history else None
            return await ledger.append(request, [commit_to(person, notice, after=after)])
