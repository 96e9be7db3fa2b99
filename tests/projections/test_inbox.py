"""The bot's questions about cases, answered from a real PostgreSQL."""

from datetime import timedelta
from uuid import UUID

from adapters.storage.memory import MemoryLedger
from adapters.storage.postgres import PostgresDatabase
from projections import PROJECTIONS, inbox
from projections.inbox import CaseLine
from tests.givens import START, Given
from tests.projections.following import project

INBOX = PROJECTIONS["inbox"]


class Asked:
    """Brings the read model up to date before every question."""

    def __init__(self, ledger: MemoryLedger, database: PostgresDatabase) -> None:
        self.ledger, self.database = ledger, database

    async def line(self, case: UUID) -> CaseLine:
        await project(self.ledger, self.database, INBOX)
        async with self.database.acquire() as db:
            found = await inbox.one(db, case)
        assert found is not None
        return found

    async def state(self, case: UUID) -> str:
        return (await self.line(case)).state


async def test_a_case_goes_from_receiving_to_labelled(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    asked = Asked(ledger, database)
    case = await given.case(await given.person())
    assert await asked.state(case) == "receiving"
    await given.ingested(case)
    assert await asked.state(case) == "waiting"
    await given.predicted(case, "large-artery", 640)
    await given.composed(case)
    assert await asked.state(case) == "waiting"
    await given.delivered(case)
    line = await asked.line(case)
    assert (line.state, line.top, line.top_permille) == ("answered", "large-artery", 640)
    await given.labelled(case, "cardioembolic")
    line = await asked.line(case)
    assert (line.state, line.label) == ("labelled", "cardioembolic")


async def test_imported_cases_are_found_but_listed_only_when_asked_for(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    asked, by = Asked(ledger, database), await given.person()
    sent = await given.case(by)
    imported = await given.case(by, origin="import")
    await given.labelled(imported)

    line = await asked.line(imported)

    async with database.acquire() as db:
        latest = await inbox.latest(db, 10)
        taken_in = await inbox.latest(db, 10, "imported")
        found = await inbox.find(db, line.code)
    assert (line.state, line.label) == ("imported", "cardioembolic")
    assert [each.case_id for each in latest] == [sent]
    assert taken_in == found == [line]


async def test_linked_withdrawn_and_erased_cases_say_so(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    asked, by = Asked(ledger, database), await given.person()
    case, other = await given.answered_case(by), await given.answered_case(by)
    await given.linked(case, other)
    assert (await asked.line(case)).linked == [other]
    assert (await asked.line(other)).linked == [case]
    await given.withdrawn(case)
    assert await asked.state(case) == "withdrawn"
    await given.erased(case)
    assert await asked.state(case) == "erased"
    assert await asked.state(other) == "answered"


async def test_only_ones_own_living_cases_may_be_of_the_same_patient(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by, someone = await given.person(), await given.person()
    older, case, linked, gone, other = [await given.answered_case(by) for _ in range(5)]
    foreign = await given.answered_case(someone)
    await given.linked(case, linked)
    await given.withdrawn(gone)
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        found = await inbox.others_of(db, by, case, (), limit=9)
        assert [line.case_id for line in found] == [other, older]
        suspected = await inbox.others_of(db, by, case, (older,), limit=9)
        assert [line.case_id for line in suspected] == [older, other]
        assert await inbox.others_of(db, by, case, (), limit=9, offset=2) == []
        assert await inbox.case_beginning(db, by, other.hex[:16]) == other
        assert await inbox.case_beginning(db, by, foreign.hex[:16]) is None


async def test_a_photo_does_not_join_a_withdrawn_case(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by = await given.person()
    case = await given.case(by)
    await given.withdrawn(case)
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        assert await inbox.recent_case(db, by, START) is None


async def test_a_further_image_makes_an_answer_out_of_date(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    asked = Asked(ledger, database)
    case = await given.answered_case(await given.person())
    await given.image(case)
    assert await asked.state(case) == "receiving"
    await given.ingested(case)
    assert await asked.state(case) == "waiting"
    await given.predicted(case)
    await given.composed(case)
    await given.delivered(case)
    assert await asked.state(case) == "answered"


async def test_an_answer_that_was_overtaken_does_not_count(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.case(await given.person())
    await given.ingested(case)
    await given.predicted(case)
    await given.composed(case)
    await given.context(case)
    await given.predicted(case)
    await given.delivered(case)
    assert await Asked(ledger, database).state(case) == "waiting"


async def test_an_unusable_further_image_leaves_the_answer_standing(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.answered_case(await given.person())
    await given.image(case)
    await given.rejected(case)
    line = await Asked(ledger, database).line(case)
    assert (line.state, line.usable, line.rejected) == ("answered", 1, 1)


async def test_a_model_that_does_not_choose_has_abstained(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    asked, by = Asked(ledger, database), await given.person()
    assert await asked.state(await given.answered_case(by, abstains=True)) == "abstained"
    case = await given.case(by)
    await given.ingested(case)
    await given.declined(case)
    await given.composed(case)
    await given.delivered(case)
    line = await asked.line(case)
    assert (line.state, line.top) == ("abstained", None)


async def test_images_are_counted_by_what_became_of_them(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.case(await given.person())
    await given.image(case)
    await given.ingested(case)
    await given.image(case)
    await given.rejected(case)
    await given.image(case)
    await given.quarantined(case)
    item = await given.image(case)
    await given.image(case)
    await given.split(case, item)
    line = await Asked(ledger, database).line(case)
    assert (line.usable, line.rejected, line.quarantined, line.pending) == (2, 1, 1, 1)


async def test_a_photo_joins_the_case_with_the_latest_image(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by, other = await given.person(), await given.person()
    older = await given.case(by, sent=START)
    newer = await given.case(by, sent=START + timedelta(seconds=30))
    await given.case(other, sent=START + timedelta(seconds=60))
    await given.image(older, sent=START + timedelta(seconds=45))
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        assert await inbox.recent_case(db, by, START) == older
        assert await inbox.recent_case(db, by, START + timedelta(seconds=45)) == older
        assert await inbox.recent_case(db, by, START + timedelta(seconds=46)) is None
        assert newer in [line.case_id for line in await inbox.cases_of(db, by, 10)]


async def test_ones_own_cases_come_newest_first_page_by_page(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by, other = await given.person(), await given.person()
    cases = [await given.case(by) for _ in range(5)]
    await given.case(other)
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        pages = [await inbox.cases_of(db, by, 2, offset) for offset in (0, 2, 4, 6)]
    assert [line.case_id for page in pages for line in page] == cases[::-1]
    assert [len(page) for page in pages] == [2, 2, 1, 0]


async def test_the_latest_cases_can_be_asked_by_state(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    by = await given.person()
    waiting, answered = await given.case(by), await given.answered_case(by)
    await given.ingested(waiting)
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        assert [line.case_id for line in await inbox.latest(db, 9)] == [answered, waiting]
        assert [line.case_id for line in await inbox.latest(db, 1)] == [answered]
        assert [line.case_id for line in await inbox.latest(db, 9, "waiting")] == [waiting]


async def test_a_card_leads_to_its_case(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = await given.case(await given.person())
    cards = [await given.card(case), await given.card(case)]
    await project(ledger, database, INBOX)
    async with database.acquire() as db:
        assert [await inbox.case_by_card(db, card) for card in cards] == [case, case]
        assert await inbox.case_by_card(db, case) is None


async def test_a_case_is_found_by_what_people_type(
    ledger: MemoryLedger, given: Given, database: PostgresDatabase
) -> None:
    case = (await given.ward())[3]
    code = (await Asked(ledger, database).line(case)).code
    typed = (code, code.lower(), code.replace("-", ""), f" {code.lower().replace('-', '')} ")
    uuids = (str(case), str(case).upper(), case.hex, case.hex[:8], str(case)[:13])
    async with database.acquire() as db:
        for text in (*typed, *uuids):
            assert [line.case_id for line in await inbox.find(db, text)] == [case], text
        for text in ("", "-", code[:3], case.hex[:3], "no such case", "%", case.hex + "0"):
            assert await inbox.find(db, text) == [], text
