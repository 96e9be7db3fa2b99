"""Who may do what, as the projection tells it."""

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from domain.person import NAME, Joined, RoleGranted
from projections import PROJECTIONS, people
from projections.people import Profile
from tests.givens import NOTICE, Given, sealed
from tests.projections.following import project

PEOPLE = PROJECTIONS["people"]


async def test_a_person_is_known_by_roles_site_and_consents(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    person = await given.person("clinician", site="demo-2", language="ru")
    await given.happened(NAME, person, RoleGranted(role="admin", site="demo-2"))
    await project(ledger, database, PEOPLE)
    async with database.acquire() as db:
        assert await people.profile(db, person) == Profile(
            person=person,
            language="ru",
            asked=False,
            joined=True,
            roles=["clinician", "admin"],
            site="demo-2",
            consents=[NOTICE],
        )


async def test_a_stranger_who_asked_has_no_role_until_one_is_granted(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    stranger = await given.stranger("ru")
    await project(ledger, database, PEOPLE)
    async with database.acquire() as db:
        found = await people.profile(db, stranger)
    assert found is not None
    assert (found.asked, found.joined, found.roles) == (True, False, [])
    joined = Joined(address=sealed(), name=sealed(), language="en")
    await given.happened(NAME, stranger, joined, RoleGranted(role="clinician", site="demo-1"))
    await project(ledger, database, PEOPLE)
    async with database.acquire() as db:
        found = await people.profile(db, stranger)
    assert found is not None
    assert (found.asked, found.joined, found.roles) == (True, True, ["clinician"])


async def test_everybody_with_a_role_is_listed(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    admins = sorted([await given.person("admin"), await given.person("admin")])
    clinician = await given.person("clinician")
    await project(ledger, database, PEOPLE)
    async with database.acquire() as db:
        assert await people.with_role(db, "admin") == admins
        assert await people.with_role(db, "clinician") == [clinician]
        assert await people.with_role(db, "auditor") == []


async def test_nobody_is_known_who_never_wrote(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    await project(ledger, database, PEOPLE)
    async with database.acquire() as db:
        assert await people.profile(db, given.new_id()) is None
