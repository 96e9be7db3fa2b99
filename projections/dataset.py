"""The dataset as it stands now: every case's draft, by the same fold as a build from the ledger."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from commands.ports import Db
from domain import case as cases
from domain.events import Recorded
from projections.drafts import EMPTY, Draft, drafted, member_of, row_of
from projections.groups import groups
from projections.rows import Row, dataset_root, encode
from projections.spec import Spec

# `patient` and `links` lead to the other cases of the same patient; near duplicates are links too.
DDL = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY, patient uuid, links uuid[] NOT NULL, draft bytea NOT NULL
);
CREATE INDEX cases_patient ON cases (patient);
CREATE INDEX cases_links ON cases USING gin (links);
"""
SPEC = Spec()


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    concerned = [recorded for recorded in batch if recorded.aggregate == cases.NAME]
    before = await _drafts(db, {recorded.aggregate_id for recorded in concerned})
    after = dict(before)
    for recorded in concerned:
        draft, mention = (
            after.get(recorded.aggregate_id, EMPTY),
            (recorded.sequence, str(recorded.id)),
        )
        after[recorded.aggregate_id] = drafted(draft, recorded.event, mention)
    changed = [(case, draft) for case, draft in after.items() if draft is not before.get(case)]
    await db.executemany(
        "INSERT INTO cases VALUES ($1, $2, $3, $4) ON CONFLICT (case_id) DO UPDATE"
        " SET patient = excluded.patient, links = excluded.links, draft = excluded.draft",
        [_stored(case, draft) for case, draft in changed],
    )


async def _drafts(db: Db, concerned: set[UUID]) -> dict[UUID, Draft]:
    query = "SELECT case_id, draft FROM cases WHERE case_id = ANY($1)"
    return _decoded(await db.fetch(query, list(concerned)))


def _stored(case: UUID, draft: Draft) -> tuple[object, ...]:
    linked = [other for other, _ in draft.links]
    links = [*linked, *(found.other for found in draft.alike)]
    return case, draft.patient, links, msgspec.json.encode(draft)


def _decoded(found: Sequence[Any]) -> dict[UUID, Draft]:
    return {one["case_id"]: msgspec.json.decode(one["draft"], type=Draft) for one in found}


# Queries

KIN = """
WITH RECURSIVE kin (case_id) AS (
    VALUES ($1::uuid)
    UNION
    SELECT other.case_id FROM kin JOIN dataset.cases one USING (case_id)
    JOIN dataset.cases other ON other.patient = one.patient OR other.case_id = ANY(one.links)
        OR other.links @> ARRAY[one.case_id]
)
SELECT case_id, draft FROM dataset.cases JOIN kin USING (case_id)
"""
"""The case with all that are linked to it, straight or by way of others."""


async def encoded_rows(db: Db) -> list[bytes]:
    """Canonical rows, sorted by case."""
    found = _decoded(await db.fetch("SELECT case_id, draft FROM dataset.cases ORDER BY case_id"))
    return [encode(row) for row in _rows(found)]


async def root(db: Db) -> str:
    """What a build of the default spec, up to where this projection stands, has as its root."""
    return dataset_root(await encoded_rows(db))


async def row(db: Db, case: UUID) -> Row | None:
    kin = _decoded(await db.fetch(KIN, case))
    return next((row for row in _rows(kin) if row.case == str(case)), None)


def _rows(drafts: dict[UUID, Draft]) -> list[Row]:
    """Of whole groups of cases."""
    members = [member_of(case, draft) for case, draft in drafts.items()]
    decided = groups((member for member in members if member), SPEC)
    made = (row_of(case, draft, decided[case]) for case, draft in drafts.items() if case in decided)
    return [row for row in made if row and SPEC.wants(row)]
