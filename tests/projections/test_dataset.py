"""The live rows and a build from the ledger are the same rows."""

from uuid import UUID

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from projections import PROJECTIONS, dataset
from projections.builder import build
from tests.givens import Given
from tests.projections.following import all_caught_up, following

DATASET = PROJECTIONS["dataset"]


async def test_live_rows_are_those_of_a_build(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    first: UUID | None = None
    async with following(ledger, database, DATASET):
        for _ in range(4):
            cases = await given.ward(5)
            await given.case(await given.person())
            await given.linked(cases[1], cases[0])
            await given.linked(first or cases[2], cases[1])
            await given.alike(cases[0], first or cases[3])
            await given.alike(cases[3], cases[2])
            await given.apart(cases[3], cases[2])
            await given.withdrawn(cases[4])
            first = first or cases[3]
            await all_caught_up(ledger, database, DATASET)
            built = await build(ledger, dataset.SPEC)
            async with database.acquire() as db:
                assert await dataset.encoded_rows(db) == built.encoded
                assert await dataset.root(db) == built.root
                found = [await dataset.row(db, case) for case in cases]
            assert found[4] is None
            assert all(row in built.rows for row in found[:4])


async def test_a_case_without_a_usable_image_has_no_row(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.case(await given.person())
    async with following(ledger, database, DATASET), database.acquire() as db:
        assert await dataset.row(db, case) is None
        assert await dataset.row(db, given.new_id()) is None
