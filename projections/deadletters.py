"""What was set aside, by whom, why, and what became of it: what the operator asks."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from msgspec import Struct

from commands.ports import Db
from domain.dead_letter import Discarded, Handled, Parked, Retried
from domain.events import Recorded
from domain.identity import Instant
from projections.projection import Change, execute

DDL = """
CREATE TABLE letters (
    letter uuid PRIMARY KEY,
    line uuid NOT NULL,
    consumer text NOT NULL,
    stream text NOT NULL,
    sequence bigint NOT NULL,
    event_id uuid,
    aggregate text NOT NULL,
    aggregate_id uuid,
    cause text NOT NULL,
    error text NOT NULL,
    fingerprint text NOT NULL,
    attempts integer NOT NULL,
    version text NOT NULL,
    behind uuid,
    standing text NOT NULL,
    since timestamptz NOT NULL,
    changed timestamptz NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL DEFAULT ''
);
CREATE INDEX letters_open ON letters (standing, since);
CREATE INDEX letters_about ON letters (aggregate_id);
CREATE INDEX letters_fingerprint ON letters (fingerprint);
"""
PARK = """
INSERT INTO letters VALUES
    ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17)
ON CONFLICT (letter) DO UPDATE SET
    cause = excluded.cause, error = excluded.error, fingerprint = excluded.fingerprint,
    attempts = excluded.attempts, version = excluded.version, behind = excluded.behind,
    standing = excluded.standing, changed = excluded.changed, actor = excluded.actor
"""
TURN = """
UPDATE letters SET standing = $2, changed = $3, actor = $4, reason = $5 WHERE letter = $1
"""


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await execute(db, batch, changes)


def changes(recorded: Recorded) -> Iterator[Change]:
    match recorded.event:
        case Parked() as parked:
            yield _park(recorded, parked)
        case Retried() as retried:
            yield _turn(recorded, retried.letter, "retrying")
        case Discarded() as discarded:
            yield _turn(recorded, discarded.letter, "discarded", discarded.reason)
        case Handled() as handled:
            yield _turn(recorded, handled.letter, "handled")


def _park(recorded: Recorded, parked: Parked) -> Change:
    values = (
        parked.letter,
        recorded.aggregate_id,
        parked.consumer,
        parked.stream,
        parked.sequence,
        parked.event_id,
        parked.aggregate,
        parked.aggregate_id,
        parked.cause,
        parked.error,
        parked.fingerprint,
        parked.attempts,
        parked.version,
        parked.behind,
        "waiting" if parked.cause == "behind" else "stuck",
        recorded.envelope.time,
        recorded.envelope.actor,
    )
    return Change(PARK, values)


def _turn(recorded: Recorded, letter: UUID, standing: str, reason: str = "") -> Change:
    envelope = recorded.envelope
    return Change(TURN, (letter, standing, envelope.time, envelope.actor, reason))


# Queries


class Line(Struct, frozen=True):
    """A letter in a list. `standing` is stuck, waiting, retrying, handled or discarded; `since` when
    it was first set aside, `changed` when something was last done to it, by `actor`."""

    letter: UUID
    line: UUID
    consumer: str
    stream: str
    sequence: int
    event_id: UUID | None
    aggregate: str
    aggregate_id: UUID | None
    cause: str
    error: str
    fingerprint: str
    attempts: int
    version: str
    behind: UUID | None
    standing: str
    since: Instant
    changed: Instant
    actor: str
    reason: str


async def lines(
    db: Db, case: UUID | None = None, group: str | None = None, everything: bool = False
) -> list[Line]:
    """Line by line, each in its order; those that are closed only if `everything` is wanted."""
    query = """
        SELECT * FROM deadletters.letters
        WHERE ($1::uuid IS NULL OR aggregate_id = $1)
            AND ($2::text IS NULL OR fingerprint = $2)
            AND ($3 OR standing IN ('stuck', 'waiting', 'retrying'))
        ORDER BY min(since) OVER (PARTITION BY line), line, sequence
    """
    return [Line(**found) for found in await db.fetch(query, case, group, everything)]
