"""Two cases of one patient: which one, are you sure, and then it is so for good."""

from uuid import UUID

from msgspec.structs import replace

from adapters.telegram.desk import CASES_PER_PAGE, Visit, line
from commands import cases
from domain.case import Suggestion
from domain.errors import NoSuchCase
from domain.identity import case_code
from projections import inbox
from workers.card import asking, confirm_keyboard, same_patient_keyboard
from workers.texts import say


async def choose(visit: Visit, case: UUID, page: int) -> None:
    """The person's other cases, one button each; those with a picture that is alike come first."""
    suspects = (await visit.own(case)).suspects(case)
    await visit.read_own_writes()
    async with visit.desk.database.acquire() as db:
        found = await inbox.others_of(
            db, visit.person_id, case, suspects, CASES_PER_PAGE + 1, page * CASES_PER_PAGE
        )
    others = [replace(line(row), alike=row.case_id in suspects) for row in found[:CASES_PER_PAGE]]
    more = len(found) > CASES_PER_PAGE
    rows = same_patient_keyboard(case, others, visit.language, page=page, more=more)
    question = say(visit.language, "same-question" if others or page else "same-none")
    await visit.swap(asking(await visit.card(case), question, rows))


async def confirm(visit: Visit, case: UUID, digits: str) -> None:
    """Asks once more. Raises NoSuchCase."""
    other = await _other(visit, digits)
    question = say(visit.language, "same-confirm", code=case_code(other))
    rows = confirm_keyboard(case, other, visit.language)
    await visit.swap(asking(await visit.card(case), question, rows))


async def link(visit: Visit, case: UUID, digits: str) -> None:
    """Raises NoSuchCase, NotYours, SameCase, IsErased."""
    other = await _other(visit, digits)
    books, person = visit.desk.books, visit.person_id
    suspected = other in (await visit.own(case)).suspects(case)
    suggested: Suggestion = "near-duplicate" if suspected else "clinician"
    changed = await cases.link(books, visit.request, case, other, suggested=suggested, by=person)
    await visit.note(case, changed, "same-done")


async def _other(visit: Visit, digits: str) -> UUID:
    async with visit.desk.database.acquire() as db:
        found = await inbox.case_beginning(db, visit.person_id, digits)
    if found is None:
        raise NoSuchCase
    return found
