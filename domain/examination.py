"""The advice catalogue: examinations a clinician may order next, in Russian and English, with sources."""

from typing import Literal, assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace

from domain.happened import Happened
from domain.stroke import Answer

NAME = "examination"

Block = Literal[
    "base",
    "cardioembolic",
    "large-artery",
    "small-vessel",
    "multi-territory",
    "young",
]


class Text(Struct, frozen=True, gc=False):
    ru: str
    en: str


class When(Struct, frozen=True, gc=False):
    """Whom it concerns: the blocks it belongs to, and what may be known of atrial fibrillation.

    `condition` is told to the clinician where the case's data cannot decide it.
    """

    blocks: tuple[Block, ...]
    af: tuple[Answer, ...] = ("yes", "no", "unknown")
    condition: Text | None = None


# Events


class Added(Happened, frozen=True, tag="examination.added.v1"):
    """`priority` 1 now, 2 this admission, 3 after discharge. Where `verified` is false the source
    was not checked yet, and the text says so."""

    code: str
    name: Text
    why: Text
    when: When
    priority: int
    source: str
    verified: bool


class Revised(Happened, frozen=True, tag="examination.revised.v1"):
    """A new text; `reviewed_by` is the clinician who stands for it, or None."""

    name: Text
    why: Text
    when: When
    priority: int
    source: str
    verified: bool
    reviewed_by: UUID | None = None


class Retired(Happened, frozen=True, tag="examination.retired.v1"):
    reason: str


ExaminationEvent = Added | Revised | Retired


# State


class Examination(Struct, frozen=True):
    """`revision` counts from 1; 0 is an examination that does not exist."""

    code: str = ""
    revision: int = 0
    retired: bool = False
    text: Added | Revised | None = None


def evolve(examination: Examination, event: ExaminationEvent, event_id: UUID) -> Examination:
    match event:
        case Added():
            return Examination(code=event.code, revision=1, text=event)
        case Revised():
            return replace(examination, revision=examination.revision + 1, text=event)
        case Retired():
            return replace(examination, retired=True)
        case _:
            assert_never(event)


# Decisions


def examination_id(code: str) -> UUID:
    """Codes such as `ce.telemetry` are ours and public, so a plain hash will do."""
    return uuid5(NAMESPACE_URL, f"ictus/examination/{code}")


def publish(examination: Examination, wanted: Added) -> list[ExaminationEvent]:
    """Adds what is missing and revises what differs from the shipped catalogue.

    What a clinician revised, or somebody retired, stays as it is.
    """
    current = examination.text
    if current is None:
        return [wanted]
    if examination.retired or (isinstance(current, Revised) and current.reviewed_by):
        return []
    revised = Revised(
        name=wanted.name,
        why=wanted.why,
        when=wanted.when,
        priority=wanted.priority,
        source=wanted.source,
        verified=wanted.verified,
    )
    return [] if _same_text(current, revised) else [revised]


def _same_text(current: Added | Revised, wanted: Revised) -> bool:
    words = ("name", "why", "when", "priority", "source", "verified")
    return all(getattr(current, word) == getattr(wanted, word) for word in words)
