"""An empty database, and a ledger in which much has happened."""

from collections.abc import AsyncIterator

import pytest

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from tests.givens import Given
from tests.projections.copied import CopiedLedger


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[PostgresDatabase]:
    async with PostgresDatabase(fresh_database) as database:
        yield database


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def given(ledger: MemoryLedger) -> Given:
    return Given(ledger)


@pytest.fixture
async def ward(ledger: MemoryLedger, given: Given) -> CopiedLedger:
    """A copy of the ledger after cases of every kind."""
    await given.ward()
    return CopiedLedger([recorded async for recorded in ledger.read()])


@pytest.fixture
async def busy(ledger: MemoryLedger, given: Given) -> CopiedLedger:
    """Cases of every kind, linked across shards, withdrawn, erased."""
    cases = await given.ward(8)
    await given.linked(cases[0], cases[5])
    await given.linked(cases[5], cases[2])
    await given.withdrawn(cases[3])
    await given.erased(cases[1])
    return CopiedLedger([recorded async for recorded in ledger.read()])
