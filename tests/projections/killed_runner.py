"""Runs or rebuilds every projection over a story in small batches until it is killed.

python -m tests.projections.killed_runner DSN [rebuild]
"""

import asyncio
import sys

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from projections import PROJECTIONS, advance, cursor, runner
from projections.advance import Version
from tests.givens import Given
from tests.projections.copied import CopiedLedger

EVENTS_MAX = 3
CASES = 12
ALL = tuple(PROJECTIONS.values())


async def story() -> CopiedLedger:
    """The same events in every process."""
    ledger = MemoryLedger()
    await Given(ledger).ward(CASES)
    return CopiedLedger([recorded async for recorded in ledger.read()])


async def build(ledger: CopiedLedger, database: PostgresDatabase) -> dict[str, runner.Rebuilt]:
    """Goes on with the versions that were begun, as a new program's projector does."""
    await cursor.create(ALL, database)
    begun = [Version(one, await cursor.begin(one, database, anew=False)) for one in ALL]
    return await runner._build(begun, ledger, database, lambda at, head: None)


async def main(dsn: str, *words: str) -> None:
    advance.EVENTS_MAX = EVENTS_MAX
    ledger = await story()
    async with PostgresDatabase(dsn, connections_max=len(ALL)) as database:
        if words:
            await build(ledger, database)
        else:
            await runner.run_all(ALL, ledger, database, {})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
