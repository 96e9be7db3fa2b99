"""What a pressed button asks for."""

from typing import assert_never

from adapters.telegram import same_patient
from adapters.telegram.desk import Visit
from commands.ports import Card
from workers import taps
from workers.card import Rows, asking, cause_keyboard, evidence_keyboard
from workers.texts import say


async def press(action: str, visit: Visit) -> None:
    """Raises what commands refuse; a button of another time or place gets a kind word."""
    try:
        tap = taps.parse(action)
    except ValueError:
        await visit.toast(say(visit.language, "old-button"))
        return
    match tap:
        case taps.AskAccess():
            await visit.ask_access()
        case taps.Approve(person):
            await visit.approve(person)
        case taps.Consent(notice):
            await visit.consent(notice)
        case _:
            await visit.must_be_consented()
            await _press_on_case(tap, visit)


async def _press_on_case(tap: taps.CaseTap, visit: Visit) -> None:
    match tap:
        case taps.Agree(case):
            await visit.opine(case, "agree")
        case taps.Unsure(case):
            await visit.opine(case, "unsure")
        case taps.GiveOpinion(case, cause):
            await visit.opine(case, cause)
        case taps.TellAf(case, af):
            await visit.tell(case, "af", af)
        case taps.ConfirmLabel(case, cause, evidence):
            await visit.label(case, cause, evidence)
        case taps.Split(case, item):
            await visit.split(case, item)
        case taps.ChooseSamePatient(case, page):
            await same_patient.choose(visit, case, page)
        case taps.ConfirmSamePatient(case, other):
            await same_patient.confirm(visit, case, other)
        case taps.LinkSamePatient(case, other):
            await same_patient.link(visit, case, other)
        case taps.ShowExaminations(case):
            await visit.swap(await visit.examinations(case))
        case taps.ChooseOpinion(case):
            rows = cause_keyboard(case, visit.language, "opinion")
            await _ask(visit, await visit.card(case), "opinion-question", rows)
        case taps.ChooseCause(case):
            rows = cause_keyboard(case, visit.language, "final")
            await _ask(visit, await visit.card(case), "final-question", rows)
        case taps.ChooseEvidence(case, cause):
            rows = evidence_keyboard(case, cause, visit.language)
            named = say(visit.language, f"cause-{cause}")
            await _ask(visit, await visit.card(case), "evidence-question", rows, cause=named)
        case taps.BackToCard(case):
            await visit.swap(await visit.card(case))
        case taps.OpenCase(case):
            await visit.reply(await visit.card(case))
            await visit.toast("")
        case taps.ListCases(page):
            await visit.swap(await visit.cases_card(page))
        case _:
            assert_never(tap)


async def _ask(visit: Visit, card: Card, question: str, rows: Rows, **values: str) -> None:
    asked = asking(card, say(visit.language, question, **values), rows)
    await visit.swap(asked)
