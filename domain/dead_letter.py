"""Dead letters: what a worker could not do is set aside, and what comes after it waits in line.

The aggregate is a line: all that one consumer has set aside of one case, in the order of the stream.
What belongs to no case, or need not be kept in order, is a line of its own. Only the first letter of
a line is ever tried again; when it is handled or discarded the next one follows, and a line without
letters is open: new events of the case are handled as they come.
"""

from typing import Literal, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import Refused
from domain.happened import Happened

NAME = "dead-letter"

Cause = Literal["not-understood", "refused", "declined", "failed", "worker-died", "gone", "behind"]
Standing = Literal["stuck", "waiting", "retrying"]
DiscardReason = Literal["not-needed", "done-by-hand", "unusable", "other"]


# Events


class Parked(Happened, frozen=True, tag="dead-letter.parked.v1"):
    """A message was set aside, again if a retry failed. `sequence` is its place in `stream`,
    `event_id` its id if it is an event of the ledger, `aggregate` what it is about. `error` is the
    name of the error's class or the worker's own word; equal `fingerprint`s have the same error at the
    same place in the code. `behind` is the letter that it waits for: with the cause `behind` it was not
    tried."""

    letter: UUID
    consumer: str
    stream: str
    sequence: int
    cause: Cause
    error: str
    fingerprint: str
    attempts: int
    version: str
    event_id: UUID | None = None
    aggregate: str = ""
    aggregate_id: UUID | None = None
    behind: UUID | None = None


class Retried(Happened, frozen=True, tag="dead-letter.retried.v1"):
    """Somebody wants it tried again, and then those that wait behind it."""

    letter: UUID
    consumer: str


class Discarded(Happened, frozen=True, tag="dead-letter.discarded.v1"):
    """Somebody gave it up; those that wait behind it follow."""

    letter: UUID
    consumer: str
    reason: DiscardReason


class Handled(Happened, frozen=True, tag="dead-letter.handled.v1"):
    """The worker has now done what it could not do before."""

    letter: UUID
    consumer: str


DeadLetterEvent = Parked | Retried | Discarded | Handled


# State


class Letter(Struct, frozen=True):
    """`stuck` until somebody acts, `waiting` untried behind another, or `retrying`. `parkings` counts
    how often it was set aside."""

    parked: Parked
    standing: Standing
    parkings: int = 1


class Line(Struct, frozen=True):
    """Open letters by id, in the order of their stream; `closed` are those handled or discarded."""

    letters: dict[UUID, Letter] = {}
    closed: frozenset[UUID] = frozenset()

    @property
    def head(self) -> Letter | None:
        return next(iter(self.letters.values()), None)

    @property
    def ready(self) -> Letter | None:
        """The letter to be tried now: the first one, unless it is stuck."""
        return self.head if self.head and self.head.standing != "stuck" else None

    def knows(self, letter: UUID) -> bool:
        return letter in self.letters or letter in self.closed

    def blocks(self, sequence: int) -> bool:
        """Is there an earlier letter?"""
        return self.head is not None and self.head.parked.sequence < sequence


def evolve(line: Line, event: DeadLetterEvent, event_id: UUID) -> Line:
    match event:
        case Parked():
            return _with_letter(line, event)
        case Retried():
            letters = {
                id_: replace(letter, standing="retrying") if id_ == event.letter else letter
                for id_, letter in line.letters.items()
            }
            return replace(line, letters=letters)
        case Discarded() | Handled():
            left = {id_: letter for id_, letter in line.letters.items() if id_ != event.letter}
            return Line(left, line.closed | {event.letter})
        case _:
            assert_never(event)


def _with_letter(line: Line, parked: Parked) -> Line:
    before = line.letters.get(parked.letter)
    letter = Letter(
        parked,
        "waiting" if parked.cause == "behind" else "stuck",
        before.parkings + 1 if before else 1,
    )
    letters = sorted(
        {**line.letters, parked.letter: letter}.items(), key=lambda item: item[1].parked.sequence
    )
    return replace(line, letters=dict(letters))


# Decisions


def park(line: Line, parked: Parked) -> list[DeadLetterEvent]:
    """It failed; one that is stuck already, or closed, is not set aside again."""
    before = line.letters.get(parked.letter)
    if parked.letter in line.closed or (before and before.standing == "stuck"):
        return []
    return [_in_line(line, parked)]


def wait(line: Line, parked: Parked) -> list[DeadLetterEvent]:
    """It was not tried, since an earlier one stands in line; [] if none does (any more)."""
    if line.knows(parked.letter) or not line.blocks(parked.sequence):
        return []
    return [_in_line(line, replace(parked, cause="behind"))]


def retry(line: Line, letter: UUID) -> list[DeadLetterEvent]:
    """Only the first in line is tried again. Raises Refused."""
    found = _open(line, letter)
    assert line.head is not None
    if found is not line.head:
        ahead = line.head.parked.letter
        raise Refused(f"It waits behind {ahead}: retry or discard that one first.")
    if found.standing != "stuck":
        return []
    return [Retried(letter=letter, consumer=found.parked.consumer)]


def discard(line: Line, letter: UUID, reason: DiscardReason) -> list[DeadLetterEvent]:
    """Raises Refused."""
    found = _open(line, letter)
    return [Discarded(letter=letter, consumer=found.parked.consumer, reason=reason)]


def handle(line: Line, letter: UUID) -> list[DeadLetterEvent]:
    found = line.letters.get(letter)
    return [Handled(letter=letter, consumer=found.parked.consumer)] if found else []


def _in_line(line: Line, parked: Parked) -> Parked:
    head = line.head
    if head is None or not line.blocks(parked.sequence):
        return parked
    return replace(parked, behind=head.parked.letter)


def _open(line: Line, letter: UUID) -> Letter:
    if letter not in line.letters:
        raise Refused(f"The dead letter {letter} is not open: it was handled or discarded.")
    return line.letters[letter]
