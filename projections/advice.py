"""The advice catalogue with every earlier text: what was advised then, and who stood for it."""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Db
from domain.events import Recorded
from domain.examination import Added, Retired, Revised, Text, When
from domain.identity import Instant
from projections.projection import Change, execute

# `whom` is the JSON of `When`.
DDL = """
CREATE TABLE texts (
    examination uuid NOT NULL,
    revision integer NOT NULL,
    sequence bigint NOT NULL,
    time timestamptz NOT NULL,
    code text NOT NULL,
    name_ru text NOT NULL,
    name_en text NOT NULL,
    why_ru text NOT NULL,
    why_en text NOT NULL,
    whom bytea NOT NULL,
    priority integer NOT NULL,
    source text NOT NULL,
    verified boolean NOT NULL,
    reviewed_by uuid,
    PRIMARY KEY (examination, revision)
);
CREATE TABLE retirements (
    examination uuid NOT NULL,
    sequence bigint NOT NULL,
    time timestamptz NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (examination, sequence)
);
"""
ADD = """
INSERT INTO texts VALUES ($1, 1, $2, $3, $13, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
REVISE = """
INSERT INTO texts SELECT $1, max(revision) + 1, $2, $3, min(code), $4, $5, $6, $7, $8, $9, $10, $11, $12
FROM texts WHERE examination = $1
"""
RETIRE = "INSERT INTO retirements VALUES ($1, $2, $3, $4)"


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await execute(db, batch, changes)


def changes(recorded: Recorded) -> Iterator[Change]:
    when = (recorded.aggregate_id, recorded.sequence, recorded.envelope.time)
    match recorded.event:
        case Added() as added:
            yield Change(ADD, (*when, *_text(added), None, added.code))
        case Revised() as revised:
            yield Change(REVISE, (*when, *_text(revised), revised.reviewed_by))
        case Retired(reason=reason):
            yield Change(RETIRE, (*when, reason))


def _text(event: Added | Revised) -> tuple[object, ...]:
    words = (event.name.ru, event.name.en, event.why.ru, event.why.en)
    whom = msgspec.json.encode(event.when)
    return (*words, whom, event.priority, event.source, event.verified)


# Queries


class Retirement(Struct, frozen=True):
    sequence: int
    time: Instant
    reason: str


class Advised(Struct, frozen=True, kw_only=True):
    """One text of an examination. `revision` counts from 1, and answers name it; `reviewed_by` is the
    clinician who stands for it, None where none does yet; `priority` 1 now, 2 this admission, 3
    after discharge. `retired` is when the examination, not this text of it, was taken out."""

    examination: UUID
    code: str
    revision: int
    sequence: int
    time: Instant
    name: Text
    why: Text
    when: When
    priority: int
    source: str
    verified: bool
    reviewed_by: UUID | None
    retired: Retirement | None = None


TEXTS = """
SELECT texts.*, gone.sequence AS retired_sequence, gone.time AS retired_time, reason
FROM advice.texts LEFT JOIN LATERAL (
    SELECT sequence, time, reason FROM advice.retirements
    WHERE retirements.examination = texts.examination
        AND ($1::bigint IS NULL OR sequence <= $1)
    ORDER BY sequence LIMIT 1
) AS gone ON true
WHERE ($1::bigint IS NULL OR texts.sequence <= $1)
    AND ($2::text IS NULL OR code = $2 OR examination::text = $2)
ORDER BY code, revision
"""


async def texts(db: Db, until: int | None = None, examination: str | None = None) -> list[Advised]:
    """Every text written up to the sequence `until`, by code and revision; of the one `examination`
    (its code, or its UUID in lower case), or of all."""
    return [_advised(row) for row in await db.fetch(TEXTS, until, examination)]


async def catalogue(db: Db, until: int | None = None) -> list[Advised]:
    """The text of every examination that was in force after the event `until`, retired ones too."""
    latest = {text.examination: text for text in await texts(db, until)}
    return list(latest.values())


def _advised(row: Any) -> Advised:
    gone = row["retired_sequence"]
    return Advised(
        **{name: row[name] for name in Advised.__struct_fields__ if name in row},
        name=Text(ru=row["name_ru"], en=row["name_en"]),
        why=Text(ru=row["why_ru"], en=row["why_en"]),
        when=msgspec.json.decode(row["whom"], type=When),
        retired=None if gone is None else Retirement(gone, row["retired_time"], row["reason"]),
    )
