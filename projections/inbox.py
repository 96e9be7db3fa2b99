"""The bot's view: whose cases there are, how far each has come, and which card stands for which."""

from collections.abc import Sequence
from string import hexdigits
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import astuple

from commands.ports import Db
from domain.events import Recorded
from domain.identity import Instant
from domain.stroke import Cause
from projections.inbox_fold import Case, Fold, changed_cases

UUID_PREFIX_CHARACTERS_MIN = 4

# `answer` is the one composed for the present prediction; a new image makes both out of date.
DDL = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    code text NOT NULL,
    site text NOT NULL,
    person uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    prediction uuid,
    top text,
    top_permille integer,
    abstained boolean NOT NULL DEFAULT false,
    answer uuid,
    answered boolean NOT NULL DEFAULT false,
    label text,
    withdrawn boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    imported boolean NOT NULL DEFAULT false
);
CREATE TABLE images (
    case_id uuid NOT NULL,
    item uuid NOT NULL,
    sequence bigint NOT NULL,
    sent_at timestamptz NOT NULL,
    outcome text,
    PRIMARY KEY (case_id, item)
);
CREATE TABLE links (case_id uuid NOT NULL, other uuid NOT NULL, PRIMARY KEY (case_id, other));
CREATE TABLE cards (card uuid PRIMARY KEY, case_id uuid NOT NULL);
CREATE VIEW overview AS
SELECT case_id, code, site, person, opened_at, sent_at, pending, usable, rejected, quarantined,
    CASE
        WHEN erased THEN 'erased'
        WHEN withdrawn THEN 'withdrawn'
        WHEN imported THEN 'imported'
        WHEN label IS NOT NULL THEN 'labelled'
        WHEN pending > 0 THEN 'receiving'
        WHEN NOT answered THEN 'waiting'
        WHEN abstained THEN 'abstained'
        ELSE 'answered'
    END AS state,
    top, top_permille, label,
    ARRAY(SELECT other FROM links WHERE links.case_id = cases.case_id ORDER BY other) AS linked
FROM cases CROSS JOIN LATERAL (
    SELECT max(sent_at) AS sent_at,
        count(*) FILTER (WHERE outcome IS NULL) AS pending,
        count(*) FILTER (WHERE outcome = 'usable') AS usable,
        count(*) FILTER (WHERE outcome = 'rejected') AS rejected,
        count(*) FILTER (WHERE outcome = 'quarantined') AS quarantined
    FROM images WHERE images.case_id = cases.case_id
) AS counted;
"""
INDICES = """
CREATE INDEX IF NOT EXISTS cases_code ON cases (lower(replace(code, '-', '')));
CREATE INDEX IF NOT EXISTS cases_person ON cases (person, opened_at DESC);
CREATE INDEX IF NOT EXISTS cases_opened ON cases (opened_at DESC);
CREATE INDEX IF NOT EXISTS images_sent ON images (sent_at);
"""
LOAD = "SELECT * FROM cases WHERE case_id = ANY($1)"
STORE = """
INSERT INTO cases SELECT * FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::uuid[], $7::text[],
    $8::integer[], $9::boolean[], $10::uuid[], $11::boolean[], $12::text[], $13::boolean[],
    $14::boolean[], $15::boolean[]
) ON CONFLICT (case_id) DO UPDATE SET
    prediction = excluded.prediction, top = excluded.top, top_permille = excluded.top_permille,
    abstained = excluded.abstained, answer = excluded.answer, answered = excluded.answered,
    label = excluded.label, withdrawn = excluded.withdrawn, erased = excluded.erased
"""
REMOVE = """
DELETE FROM images USING unnest($1::uuid[], $2::uuid[]) AS gone (case_id, item)
WHERE (images.case_id, images.item) = (gone.case_id, gone.item)
"""
SUBMIT = """
INSERT INTO images SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::text[]
)
"""
SETTLE = """
UPDATE images SET outcome = settled.outcome
FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS settled (case_id, item, outcome)
WHERE (images.case_id, images.item) = (settled.case_id, settled.item)
"""
PLACE = """
INSERT INTO cards SELECT * FROM unnest($1::uuid[], $2::uuid[])
ON CONFLICT (card) DO UPDATE SET case_id = excluded.case_id
"""
LINK = "INSERT INTO links SELECT * FROM unnest($1::uuid[], $2::uuid[]) ON CONFLICT DO NOTHING"


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    fold = Fold(await _cases(db, batch))
    for recorded in batch:
        fold.see(recorded)
    for statement, rows in (
        (STORE, [astuple(case) for case in fold.cases.values()]),
        (REMOVE, fold.removed),
        (SUBMIT, [astuple(image) for image in fold.submitted.values()]),
        (SETTLE, [(*image, outcome) for image, outcome in fold.settled.items()]),
        (PLACE, list(fold.cards.items())),
        (LINK, list(fold.links)),
    ):
        if rows:
            await db.execute(statement, *zip(*rows, strict=True))


async def _cases(db: Db, batch: Sequence[Recorded]) -> dict[str, Case]:
    """Those that were opened before this batch and change in it."""
    concerned = list(changed_cases(batch))
    found = await db.fetch(LOAD, concerned) if concerned else []
    return {str(row["case_id"]): Case(**row) for row in found}


# Queries

State = Literal[
    "receiving", "waiting", "answered", "abstained", "labelled", "withdrawn", "erased", "imported"
]


class CaseLine(Struct, frozen=True):
    """A case in a list. `sent_at` is when its last image was sent; `pending` images await ingest.

    `state`: receiving images, waiting for an answer, answered, abstained (the model did not choose,
    or the question does not apply), labelled (the final cause is known, whatever came before), withdrawn
    (in no later dataset), erased (its key and objects are gone), imported (nobody waits for it).
    `linked` are other cases of the same patient.
    """

    case_id: UUID
    code: str
    site: str
    person: UUID
    opened_at: Instant
    sent_at: Instant | None
    pending: int
    usable: int
    rejected: int
    quarantined: int
    state: State
    top: Cause | None
    top_permille: int | None
    label: Cause | None
    linked: list[UUID] = []


async def recent_case(
    db: Db, person: UUID, since: Instant, item: UUID | None = None
) -> UUID | None:
    """The person's case with the last image sent at `since` or later, which a new photo joins;
    if `item` lies in one of them, the photo was here before, and it is that one."""
    found: UUID | None = await db.fetchval(
        "SELECT case_id FROM inbox.images JOIN inbox.cases USING (case_id)"
        " WHERE person = $1 AND sent_at >= $2 AND NOT withdrawn"
        " ORDER BY item IS NOT DISTINCT FROM $3 DESC, sent_at DESC, sequence DESC LIMIT 1",
        person,
        since,
        item,
    )
    return found


async def cases_of(db: Db, person: UUID, limit: int, offset: int = 0) -> list[CaseLine]:
    """Newest first."""
    found = await db.fetch(
        "SELECT * FROM inbox.overview WHERE person = $1"
        " ORDER BY opened_at DESC, case_id LIMIT $2 OFFSET $3",
        person,
        limit,
        offset,
    )
    return [CaseLine(**row) for row in found]


async def others_of(
    db: Db, person: UUID, case: UUID, suspects: Sequence[UUID], limit: int, offset: int = 0
) -> list[CaseLine]:
    """The person's cases that may be of this one's patient and are not known to be: those that are
    suspected first, then newest first."""
    found = await db.fetch(
        "SELECT * FROM inbox.overview WHERE person = $1 AND case_id <> $2"
        " AND NOT $2 = ANY(linked) AND state NOT IN ('withdrawn', 'erased')"
        " ORDER BY case_id = ANY($5::uuid[]) DESC, opened_at DESC, case_id LIMIT $3 OFFSET $4",
        person,
        case,
        limit,
        offset,
        list(suspects),
    )
    return [CaseLine(**row) for row in found]


async def case_beginning(db: Db, person: UUID, digits: str) -> UUID | None:
    """The person's case whose id begins with these hex digits."""
    found: UUID | None = await db.fetchval(
        "SELECT case_id FROM inbox.cases"
        " WHERE person = $1 AND starts_with(replace(case_id::text, '-', ''), $2)",
        person,
        digits,
    )
    return found


async def latest(db: Db, limit: int, state: State | None = None) -> list[CaseLine]:
    """Newest first, of everybody; those that were imported only when asked for."""
    found = await db.fetch(
        "SELECT * FROM inbox.overview WHERE state = $2"
        " OR $2::text IS NULL AND state <> 'imported'"
        " ORDER BY opened_at DESC, case_id LIMIT $1",
        limit,
        state,
    )
    return [CaseLine(**row) for row in found]


async def one(db: Db, case: UUID) -> CaseLine | None:
    found = await db.fetchrow("SELECT * FROM inbox.overview WHERE case_id = $1", case)
    return CaseLine(**found) if found else None


async def case_by_card(db: Db, card: UUID) -> UUID | None:
    found: UUID | None = await db.fetchval("SELECT case_id FROM inbox.cards WHERE card = $1", card)
    return found


async def find(db: Db, text: str) -> list[CaseLine]:
    """Cases whose code is `text`, dash and letter case aside, or whose UUID begins with it."""
    word = text.strip().replace("-", "").lower()
    first, last = _uuid_range(word)
    found = await db.fetch(
        "SELECT * FROM inbox.overview WHERE lower(replace(code, '-', '')) = $1"
        " OR case_id BETWEEN $2 AND $3 ORDER BY opened_at DESC, case_id",
        word,
        first,
        last,
    )
    return [CaseLine(**row) for row in found]


def _uuid_range(prefix: str) -> tuple[UUID | None, UUID | None]:
    """The UUIDs with this prefix; None, None when it is none or too short to mean one."""
    if not UUID_PREFIX_CHARACTERS_MIN <= len(prefix) <= 32 or not set(prefix) <= set(hexdigits):
        return None, None
    return UUID(prefix.ljust(32, "0")), UUID(prefix.ljust(32, "f"))
