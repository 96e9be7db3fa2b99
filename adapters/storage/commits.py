"""What both ledgers share: a request's events, chained and encoded, and the check of a chain."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from commands.ports import Commit, Damaged
from domain.events import (
    NO_HASH,
    Recorded,
    Request,
    encode,
    envelope,
    payload_hash,
    subject_of,
)
from domain.identity import subject_filter

EVENTS_MAX = 1000
EVENT_BYTES_MAX = 255 * 1024


class Entry(NamedTuple):
    """One event on its way into the ledger. The first of a commit guards its aggregate:
    the last sequence under `filter` must be `expected`."""

    id: UUID
    subject: str
    payload: bytes
    filter: str
    expected: int
    guards: bool


def entries(request: Request, commits: Sequence[Commit]) -> list[Entry]:
    """Raises ValueError for what a ledger never takes: nothing, too much, one aggregate twice."""
    made = [entry for commit in commits for entry in _chained(request, commit)]
    if not 0 < len(made) <= EVENTS_MAX:
        raise ValueError(f"{len(made)} events: at least 1, at most {EVENTS_MAX}")
    if sum(entry.guards for entry in made) != len({entry.filter for entry in made}):
        raise ValueError("at most one commit per aggregate")
    return made


def _chained(request: Request, commit: Commit) -> Iterator[Entry]:
    prevhash = commit.prevhash
    literal = subject_filter(commit.aggregate, commit.aggregate_id)
    for index, event in enumerate(commit.events):
        wrapped = envelope(request, commit.aggregate, commit.aggregate_id, index, prevhash, event)
        payload = encode(wrapped)
        if len(payload) > EVENT_BYTES_MAX:
            raise ValueError(f"{wrapped.type}: {len(payload)} bytes, at most {EVENT_BYTES_MAX}")
        subject = subject_of(commit.aggregate_id, event)
        yield Entry(wrapped.id, subject, payload, literal, commit.expected, index == 0)
        prevhash = payload_hash(payload)


def check_chain(history: Sequence[Recorded]) -> None:
    """Raises Damaged unless every event names the hash of the one before."""
    prevhash = NO_HASH
    for recorded in history:
        if recorded.envelope.prevhash != prevhash:
            raise Damaged(
                f"{recorded.envelope.subject}: the chain breaks at sequence {recorded.sequence}"
            )
        prevhash = recorded.hash


def last_of(request_ids: set[UUID], history: Sequence[Recorded]) -> int | None:
    """The sequence of the last event with one of these ids: the request was stored already."""
    return max((found.sequence for found in history if found.id in request_ids), default=None)
