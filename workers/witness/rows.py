"""The witness's copy in Postgres: each event's hash, each signed head, and how far it is."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from commands.ports import Db, Unavailable

DDL = """
CREATE SCHEMA IF NOT EXISTS witness;
CREATE TABLE IF NOT EXISTS witness.event (
    sequence bigint PRIMARY KEY,
    hash bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS witness.head (
    size bigint PRIMARY KEY,
    note bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS witness.durable (
    name text PRIMARY KEY,
    sequence bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS witness.position (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    ledger uuid NOT NULL,
    sequence bigint NOT NULL
);
"""


class Position(Struct, frozen=True):
    """The last event whose hash is here (0: none yet), and the ledger it is of."""

    ledger: UUID
    sequence: int


async def create(db: Db, ledger: UUID) -> Position:
    """Makes what is missing, in a transaction, and says where the copy stands."""
    # `IF NOT EXISTS` alone does not see a rival.
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('ictus/witness', 0))")
    await db.execute(DDL)
    await db.execute(
        "INSERT INTO witness.position (ledger, sequence) VALUES ($1, 0) ON CONFLICT DO NOTHING",
        ledger,
    )
    found = await position(db)
    assert found is not None
    return found


async def remembered(db: Db) -> UUID | None:
    """The ledger that the witness or a read model has followed."""
    if at := await position(db):
        return at.ledger
    if await db.fetchval("SELECT to_regclass('projection.cursor')") is None:
        return None
    ledger: UUID | None = await db.fetchval(
        "SELECT ledger FROM projection.cursor WHERE sequence > 0 LIMIT 1"
    )
    return ledger


async def position(db: Db) -> Position | None:
    """None where no witness has been."""
    if await db.fetchval("SELECT to_regclass('witness.position')") is None:
        return None
    found = await db.fetchrow("SELECT ledger, sequence FROM witness.position")
    return Position(**found) if found else None


async def enter(db: Db, at: Position) -> None:
    """Locks the position until the transaction ends: one witness at a time goes on from here.

    Raises Unavailable when another one did.
    """
    found = await db.fetchrow("SELECT ledger, sequence FROM witness.position FOR UPDATE")
    if found is None or Position(**found) != at:
        raise Unavailable("another witness is at work")


async def add(db: Db, at: Position, hashes: Sequence[bytes]) -> Position:
    """The hashes of the events after `at`, and the position past them."""
    first, last = at.sequence + 1, at.sequence + len(hashes)
    await db.execute(
        "INSERT INTO witness.event (sequence, hash) SELECT * FROM unnest($1::bigint[], $2::bytea[])",
        list(range(first, last + 1)),
        list(hashes),
    )
    await db.execute("UPDATE witness.position SET sequence = $1", last)
    return Position(at.ledger, last)


async def keep_head(db: Db, size: int, note: bytes) -> None:
    await db.execute(
        "INSERT INTO witness.head (size, note) VALUES ($1, $2) ON CONFLICT DO NOTHING", size, note
    )


async def keep_durables(db: Db, positions: dict[str, int]) -> None:
    """Up to which sequence each durable consumer has acknowledged all, for after a repair."""
    await db.executemany(
        "INSERT INTO witness.durable (name, sequence) VALUES ($1, $2)"
        " ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence",
        list(positions.items()),
    )


async def durables(db: Db) -> dict[str, int]:
    found = await db.fetch("SELECT name, sequence FROM witness.durable ORDER BY name")
    return {row["name"]: row["sequence"] for row in found}


async def hashes(db: Db, first: int, last: int) -> dict[int, bytes]:
    """By sequence; what is not here is left out."""
    query = "SELECT sequence, hash FROM witness.event WHERE sequence BETWEEN $1 AND $2"
    return {row["sequence"]: row["hash"] for row in await db.fetch(query, first, last)}


async def heads(db: Db, first: int, last: int) -> list[tuple[int, bytes]]:
    """The signed heads of these sizes, smallest first: (size, note)."""
    query = "SELECT size, note FROM witness.head WHERE size BETWEEN $1 AND $2 ORDER BY size"
    return [(row["size"], row["note"]) for row in await db.fetch(query, first, last)]
