"""PostgreSQL as the read side's database: a small pool whose every failure to answer is Unavailable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

import asyncpg

from commands.ports import Db, Unavailable

CONNECTIONS_MAX = 4
CONNECT_SECONDS_MAX = 5.0
COMMAND_SECONDS_MAX = 60.0
ACQUIRE_SECONDS_MAX = 15.0
CLOSE_SECONDS_MAX = 2.0

# asyncpg raises TimeoutError for its own time limits and OSError while no server listens; a table
# is undefined to a reader that starts before the projector has made it.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.UndefinedTableError,
)


class PostgresDatabase:
    """`commands.ports.Database` over asyncpg; connects when first asked, again after every loss.

    Use it as `async with PostgresDatabase(dsn) as database`. A block inside `acquire` should talk
    to the database only: a time-out or broken socket in it counts as PostgreSQL's.
    """

    def __init__(self, dsn: str, connections_max: int = CONNECTIONS_MAX) -> None:
        self._dsn = dsn
        self._connections_max = connections_max

    async def __aenter__(self) -> Self:
        # With no connection to make yet, this succeeds while the server is away.
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._connections_max,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=COMMAND_SECONDS_MAX,
            server_settings={"application_name": "ictus", "timezone": "UTC"},
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self._pool.close()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Db]:
        """A connection; its loss inside the block raises Unavailable, with nothing committed or,
        when the loss came during a commit, all of it."""
        try:
            connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS_MAX)
        except AWAY as error:
            raise _unavailable(error) from error
        try:
            yield connection
        except AWAY as error:
            raise _unavailable(error) from error
        except asyncpg.InternalClientError as error:
            # A loss in the middle of a statement may surface as the client's own confusion.
            connection.terminate()
            raise _unavailable(error) from error
        except asyncpg.InterfaceError as error:
            if not _is_lost(connection):
                raise
            raise _unavailable(error) from error
        finally:
            # A broken connection cannot be handed back politely; the pool has dropped it already.
            with suppress(*AWAY, asyncpg.InterfaceError, asyncpg.InternalClientError):
                await self._pool.release(connection)


def _is_lost(connection: Any) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool took a broken connection back already


def _unavailable(error: BaseException) -> Unavailable:
    return Unavailable(f"PostgreSQL cannot answer now: {error or type(error).__name__}")
