"""Whatever keeps PostgreSQL from answering is Unavailable; everything else is a bug and says so."""

import asyncio

import asyncpg
import pytest

from adapters.storage.postgres import PostgresDatabase
from commands.ports import Db, Unavailable

NOBODY = "postgresql://ictus:word@127.0.0.1:1/ictus?sslmode=disable"


async def end(database: PostgresDatabase, db: Db) -> None:
    """Another connection ends this one's server process and waits until it is gone."""
    pid = await db.fetchval("SELECT pg_backend_pid()")
    async with database.acquire() as other:
        await other.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)


async def test_nobody_is_asked_before_somebody_asks() -> None:
    async with PostgresDatabase(NOBODY) as database:
        with pytest.raises(Unavailable):
            async with database.acquire():
                pytest.fail("there is no server")


async def test_a_connection_lost_in_a_transaction_is_unavailable(
    database: PostgresDatabase,
) -> None:
    async def lose() -> None:
        async with database.acquire() as db, db.transaction():
            await end(database, db)
            await db.fetchval("SELECT 1")

    with pytest.raises(Unavailable):
        await lose()
    async with database.acquire() as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_a_connection_lost_before_a_commit_is_unavailable(
    database: PostgresDatabase,
) -> None:
    async def lose() -> None:
        async with database.acquire() as db, db.transaction():
            await db.execute("CREATE TABLE never ()")
            await end(database, db)
            await asyncio.sleep(0.05)

    with pytest.raises(Unavailable):
        await lose()
    async with database.acquire() as db:
        assert await db.fetchval("SELECT to_regclass('never')") is None


async def test_a_table_that_is_not_there_yet_is_unavailable(database: PostgresDatabase) -> None:
    with pytest.raises(Unavailable, match="never"):
        async with database.acquire() as db:
            await db.fetch("SELECT * FROM never")


@pytest.mark.parametrize("query", ["SELEC 1", "SELECT 1/0", "SELECT never"])
async def test_a_bug_is_not_hidden(database: PostgresDatabase, query: str) -> None:
    with pytest.raises(asyncpg.PostgresError):
        async with database.acquire() as db:
            await db.fetch(query)


async def test_two_tasks_on_one_connection_are_a_bug(database: PostgresDatabase) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with database.acquire() as db:
            await asyncio.gather(*(db.fetchval("SELECT pg_sleep(0.05)") for _ in range(2)))


async def test_more_tasks_than_connections_take_turns(fresh_database: str) -> None:
    async def ask(database: PostgresDatabase, number: int) -> int:
        async with database.acquire() as db:
            return int(await db.fetchval("SELECT $1::int", number))

    async with PostgresDatabase(fresh_database, connections_max=2) as database:
        answers = await asyncio.gather(*(ask(database, number) for number in range(20)))
    assert answers == list(range(20))
