"""How far each read model has come, and in which schema its versions lie.

The live version of `inbox` is the schema `inbox`; one being built, or kept from before, is
`inbox_v<version>`. A cursor moves in the transaction that writes the rows it stands for, under a
lock on its own row, so two runners of one projection never apply an event twice.
"""

from collections.abc import Iterable
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from commands.ports import Database, Db, Unavailable
from domain.events import NO_HASH, Recorded
from projections.projection import Projection

DDL = """
CREATE SCHEMA IF NOT EXISTS projection;
CREATE TABLE IF NOT EXISTS projection.cursor (
    name text NOT NULL,
    version integer NOT NULL,
    revision integer NOT NULL,
    live boolean NOT NULL,
    sequence bigint NOT NULL,
    hash text NOT NULL,
    ledger uuid,
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX IF NOT EXISTS cursor_live ON projection.cursor (name) WHERE live;
ALTER TABLE projection.cursor ADD COLUMN IF NOT EXISTS trouble text NOT NULL DEFAULT '';
"""
LONG_SECONDS_MAX = 3600.0
"""For what may take longer the more events there are: indices, digests."""

COLUMNS = "name, version, revision, live, sequence, hash, ledger"
LIVE = f"SELECT {COLUMNS} FROM projection.cursor WHERE name = $1 AND live"  # noqa: S608
FIND = f"SELECT {COLUMNS} FROM projection.cursor WHERE name = $1 AND version = $2"  # noqa: S608
# Asked first: even where it changes nothing, DDL locks out those who move cursors.
IS_MADE = """
SELECT EXISTS (
    SELECT 1 FROM information_schema.columns
    WHERE (table_schema, table_name, column_name) = ('projection', 'cursor', 'trouble')
)
"""
IS_LIVE = "SELECT EXISTS (SELECT 1 FROM projection.cursor WHERE name = $1 AND live)"


class Cursor(Struct, frozen=True):
    """The last event applied: its sequence (0: none yet), its payload's hash and its ledger."""

    name: str
    version: int
    revision: int
    live: bool
    sequence: int = 0
    hash: str = NO_HASH
    ledger: UUID | None = None

    @property
    def schema(self) -> str:
        return self.name if self.live else f"{self.name}_v{self.version}"


async def create(projections: Iterable[Projection], database: Database) -> None:
    """Makes what is missing, with empty tables."""
    async with database.acquire() as db, db.transaction():
        await _hold(db)
        if not await db.fetchval(IS_MADE):
            await db.execute(DDL)
        for projection in projections:
            if not await db.fetchval(IS_LIVE, projection.name):
                await _insert(db, projection, Cursor(projection.name, 1, projection.revision, True))


async def begin(projection: Projection, database: Database, *, anew: bool = True) -> Cursor:
    """A version beside the live one: an empty one, or else the one of this revision that was begun.

    Going on is for programs that start together: beginning anew, each would undo the other's work.
    """
    async with database.acquire() as db, db.transaction():
        await _hold(db)
        version = (await live(db, projection.name)).version + 1
        cursor = Cursor(projection.name, version, projection.revision, False)
        begun = await _find(db, projection.name, version)
        if begun and begun.revision == projection.revision and not anew:
            return begun
        await _drop(db, cursor)
        await _insert(db, projection, cursor)
    return cursor


async def live(db: Db, name: str) -> Cursor:
    """Raises Unavailable while no runner has created the projection."""
    found = await db.fetchrow(LIVE, name)
    if found is None:
        raise Unavailable(f"projection {name} is not there yet")
    return Cursor(**found)


async def enter(db: Db, cursor: Cursor) -> None:
    """Locks the cursor until the transaction ends and makes its schema the one that is written.

    Raises Unavailable when another runner moved it or another version took its place.
    """
    # A version that nobody reads yet need not wait for the disk at each commit: rows and cursor are
    # lost together, or not, and the switch waits for all of them. A live one must, since a runner
    # that has nothing more to do would not notice that PostgreSQL lost its last commits.
    # One plan for batches of all sizes: the tables are large, or will be before the next ANALYZE.
    found = await db.fetchrow(
        "SELECT sequence, live, set_config('search_path', $3, true),"
        " set_config('synchronous_commit',"
        " CASE WHEN live THEN current_setting('synchronous_commit') ELSE 'off' END, true),"
        " set_config('plan_cache_mode', 'force_generic_plan', true)"
        " FROM projection.cursor WHERE name = $1 AND version = $2 FOR UPDATE",
        cursor.name,
        cursor.version,
        cursor.schema,
    )
    if found is None or (found["sequence"], found["live"]) != (cursor.sequence, cursor.live):
        raise Unavailable(f"projection {cursor.name}: another runner is at work")


async def move(db: Db, cursor: Cursor, last: Recorded) -> Cursor:
    """Past `last`; call it in the transaction that `enter` began."""
    await db.execute(
        "UPDATE projection.cursor SET sequence = $3, hash = $4, ledger = $5, trouble = ''"
        " WHERE name = $1 AND version = $2",
        cursor.name,
        cursor.version,
        last.sequence,
        last.hash,
        cursor.ledger,
    )
    return replace(cursor, sequence=last.sequence, hash=last.hash)


async def index(db: Db, projection: Projection) -> None:
    """Once more changes nothing; call it in the transaction that `enter` began."""
    if projection.indices:
        await db.execute("SET LOCAL maintenance_work_mem = '128MB'")
        await db.execute(projection.indices, timeout=LONG_SECONDS_MAX)


async def blame(database: Database, cursor: Cursor, trouble: str) -> None:
    """Notes why this version goes no further, until it does."""
    async with database.acquire() as db:
        await db.execute(
            "UPDATE projection.cursor SET trouble = $3 WHERE name = $1 AND version = $2",
            cursor.name,
            cursor.version,
            trouble,
        )


async def lock_live(db: Db, name: str) -> Cursor:
    """The live cursor, which stands still until the transaction ends."""
    await db.execute("SELECT 1 FROM projection.cursor WHERE name = $1 AND live FOR UPDATE", name)
    return await live(db, name)


async def switch(db: Db, old: Cursor, built: Cursor) -> None:
    """`built` becomes the live version and `old` is kept; the one kept before it is dropped."""
    await db.execute("SET LOCAL synchronous_commit TO DEFAULT")
    await _drop(db, Cursor(old.name, old.version - 1, old.revision, False))
    await db.execute(f"ALTER SCHEMA {old.name} RENAME TO {old.name}_v{old.version}")
    await db.execute(f"ALTER SCHEMA {built.schema} RENAME TO {built.name}")
    for version, is_live in ((old.version, False), (built.version, True)):
        await db.execute(
            "UPDATE projection.cursor SET live = $3 WHERE name = $1 AND version = $2",
            old.name,
            version,
            is_live,
        )


async def _find(db: Db, name: str, version: int) -> Cursor | None:
    found = await db.fetchrow(FIND, name, version)
    return Cursor(**found) if found else None


async def _hold(db: Db) -> None:
    """One creation at a time in this database: `IF NOT EXISTS` alone does not see a rival."""
    await db.execute("SELECT pg_advisory_xact_lock(hashtextextended('ictus/projection', 0))")


async def _insert(db: Db, projection: Projection, cursor: Cursor) -> None:
    await db.execute(f"CREATE SCHEMA {cursor.schema}")
    await db.execute("SELECT set_config('search_path', $1, true)", cursor.schema)
    await db.execute(projection.ddl)
    if cursor.live:
        await index(db, projection)
    await db.execute(
        "INSERT INTO projection.cursor VALUES ($1, $2, $3, $4, 0, $5, NULL)",
        cursor.name,
        cursor.version,
        cursor.revision,
        cursor.live,
        NO_HASH,
    )


async def _drop(db: Db, cursor: Cursor) -> None:
    await db.execute(f"DROP SCHEMA IF EXISTS {cursor.schema} CASCADE")
    await db.execute(
        "DELETE FROM projection.cursor WHERE name = $1 AND version = $2",
        cursor.name,
        cursor.version,
    )
