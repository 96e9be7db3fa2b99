"""Requests, events and commits for the contract tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from commands.ports import Commit
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
