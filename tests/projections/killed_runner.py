"""Runs every projection over a story in small batches until it is killed.

python -m tests.projections.killed_runner DSN
"""

import asyncio
import sys

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from projections import PROJECTIONS, advance, runner
from tests.givens import Given
from tests.projections.copied import CopiedLedger

EVENTS_MAX = 3
CASES = 12


async def story() -> CopiedLedger:
    """The same events in every process."""
    ledger = MemoryLedger()
    await Given(ledger).ward(CASES)
    return CopiedLedger([recorded async for recorded in ledger.read()])


async def main(dsn: str) -> None:
    advance.EVENTS_MAX = EVENTS_MAX
    ledger = await story()
    async with PostgresDatabase(dsn, connections_max=len(PROJECTIONS)) as database:
        await asyncio.gather(
            *(runner.run(projection, ledger, database) for projection in PROJECTIONS.values())
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
