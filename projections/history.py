"""Every event as the ledger holds it, personal fields still sealed: what the auditor asks."""

from collections.abc import Sequence
from uuid import UUID

from commands.ports import Db
from domain import case
from domain.events import Recorded, decode
from domain.identity import Instant

DDL = """
CREATE TABLE events (
    sequence bigint NOT NULL,
    id uuid NOT NULL,
    aggregate text NOT NULL,
    aggregate_id uuid NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    actor text NOT NULL,
    case_id uuid,
    payload bytea NOT NULL
);
"""
INDICES = """
CREATE UNIQUE INDEX IF NOT EXISTS events_sequence ON events (sequence);
CREATE UNIQUE INDEX IF NOT EXISTS events_id ON events (id);
CREATE INDEX IF NOT EXISTS events_case ON events (case_id, sequence);
CREATE INDEX IF NOT EXISTS events_time ON events (time);
"""


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await db.copy_records_to_table("events", records=map(_row, batch))


def _row(recorded: Recorded) -> tuple[object, ...]:
    envelope = recorded.envelope
    aggregate, _, aggregate_id = envelope.subject.partition("/")
    return (
        recorded.sequence,
        envelope.id,
        aggregate,
        aggregate_id,
        envelope.type,
        envelope.time,
        envelope.actor,
        aggregate_id if aggregate == case.NAME else None,
        recorded.payload,
    )


# Queries


async def of_case(db: Db, case: UUID, until: int | None = None) -> list[Recorded]:
    """A case's events, oldest first, those after the sequence `until` left out."""
    found = await db.fetch(
        "SELECT sequence, payload FROM history.events"
        " WHERE case_id = $1 AND ($2::bigint IS NULL OR sequence <= $2) ORDER BY sequence",
        case,
        until,
    )
    return [decode(row["sequence"], row["payload"]) for row in found]


async def sequence_at(db: Db, time: Instant) -> int:
    """What was known at `time`: the last sequence before the first event that is later."""
    later = await db.fetchval("SELECT min(sequence) FROM history.events WHERE time > $1", time)
    if later is not None:
        return int(later) - 1
    return int(await db.fetchval("SELECT coalesce(max(sequence), 0) FROM history.events"))
