"""The dataset as it stands now: the row of every case, by the same fold as a build from the ledger."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from commands.ports import Db
from domain import case as cases
from domain.events import Recorded
from projections.builder import EMPTY, Draft, Spec, drafted, row_of
from projections.rows import Row, dataset_root, decode, encode

# A row is null while its case has no usable image.
DDL = """
CREATE TABLE cases (case_id uuid PRIMARY KEY, draft bytea NOT NULL, row bytea);
"""
SPEC = Spec()


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    concerned = [recorded for recorded in batch if recorded.aggregate == cases.NAME]
    before = await _drafts(db, {recorded.aggregate_id for recorded in concerned})
    after = dict(before)
    for recorded in concerned:
        draft = after.get(recorded.aggregate_id, EMPTY)
        after[recorded.aggregate_id] = drafted(draft, recorded)
    changed = [(case, draft) for case, draft in after.items() if draft is not before.get(case)]
    await db.executemany(
        "INSERT INTO cases VALUES ($1, $2, $3)"
        " ON CONFLICT (case_id) DO UPDATE SET draft = excluded.draft, row = excluded.row",
        [(case, msgspec.json.encode(draft), _encoded(case, draft)) for case, draft in changed],
    )


async def _drafts(db: Db, concerned: set[UUID]) -> dict[UUID, Draft]:
    query = "SELECT case_id, draft FROM cases WHERE case_id = ANY($1)"
    found = await db.fetch(query, list(concerned))
    return {one["case_id"]: msgspec.json.decode(one["draft"], type=Draft) for one in found}


def _encoded(case: UUID, draft: Draft) -> bytes | None:
    row = row_of(case, draft, SPEC)
    return encode(row) if row else None


# Queries


async def encoded_rows(db: Db) -> list[bytes]:
    """Canonical rows, sorted by case."""
    query = "SELECT row FROM dataset.cases WHERE row IS NOT NULL ORDER BY case_id"
    return [found["row"] for found in await db.fetch(query)]


async def root(db: Db) -> str:
    """What a build of the default spec, up to where this projection stands, has as its root."""
    return dataset_root(await encoded_rows(db))


async def row(db: Db, case: UUID) -> Row | None:
    found = await db.fetchval("SELECT row FROM dataset.cases WHERE case_id = $1", case)
    return decode(found) if found else None
