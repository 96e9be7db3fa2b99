"""What people see: a case's card as a pure function of the case, and the choices that grow from it.

Texts use <b> and <i> only. A card fits a photo's caption (1024 UTF-16 units without tags), so that
it can stand under an image; the list of all examinations fits a message (4096).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from html import unescape
from typing import Literal
from uuid import UUID

from msgspec import Struct

from commands.ports import Button, Card
from domain import advice
from domain.case import Case, PredictionProduced
from domain.examination import Added, Revised
from domain.identity import Instant
from domain.stroke import CAUSES, EVIDENCE, Answer, Cause
from workers import taps
from workers.taps import Tap
from workers.texts import NOTICE, plainly, say
from workers.wording import Catalogue, capital, card_lines, code_of, within

State = Literal[
    "receiving", "waiting", "answered", "abstained", "confirmed", "withdrawn", "erased", "imported"
]
Rows = tuple[tuple[Button, ...], ...]

CAPTION_UNITS_MAX = 1024
MESSAGE_UNITS_MAX = 4096
ALIKE = "≈"


class CaseLine(Struct, frozen=True):
    """A case in the list; `cause` is the final one if known, else the most likely one; `alike` marks one
    with a near duplicate of a picture in question."""

    code: str
    case: UUID
    state: State
    cause: Cause | None
    time: Instant
    alike: bool = False


# The card of a case


def case_card(
    case: Case, case_id: UUID, catalogue: Catalogue, language: str, collecting_only: bool
) -> Card:
    """The one message of a case. `collecting_only` says that no model answers here today."""
    lines = card_lines(case, catalogue, language, collecting_only)
    return Card(text="\n".join(lines), rows=tuple(_rows(case, case_id, language)))


def _rows(case: Case, case_id: UUID, language: str) -> Iterator[tuple[Button, ...]]:
    if case.prediction is not None:
        yield _opinion_row(case, case_id, language)
    if case.usable or case.waiting:
        yield tuple(_af_buttons(case, case_id, language))
    if case.usable:
        examinations = _button(language, "button-examinations", taps.ShowExaminations(case_id))
        yield examinations, _button(language, "button-final", taps.ChooseCause(case_id))
    if patient := tuple(_patient_buttons(case, case_id, language)):
        yield patient


def _opinion_row(case: Case, case_id: UUID, language: str) -> tuple[Button, ...]:
    """There is nothing to agree with where the model told no cause."""
    said, given = case.prediction, case.opinion.opinion if case.opinion else None
    answered = isinstance(said, PredictionProduced) and not advice.abstains(said)
    unsure = _button(language, "button-unsure", taps.Unsure(case_id), given == "unsure")
    other = taps.ChooseOpinion(case_id)
    if not answered:
        return _button(language, "button-my-opinion", other, given in CAUSES), unsure
    agree = _button(language, "button-agree", taps.Agree(case_id), given == "agree")
    return agree, _button(language, "button-other", other, given in CAUSES), unsure


def _af_buttons(case: Case, case_id: UUID, language: str) -> Iterator[Button]:
    answers: tuple[Answer, ...] = ("yes", "no", "unknown")
    for answer in answers:
        told = case.context.get("af") == answer
        yield _button(language, f"button-af-{answer}", taps.TellAf(case_id, answer), told)


def _patient_buttons(case: Case, case_id: UUID, language: str) -> Iterator[Button]:
    if case.usable:
        yield _button(language, "button-same-patient", taps.ChooseSamePatient(case_id, 0))
    item = _joined_by_time(case)
    if item is not None:
        split = taps.Split(case_id, item.hex[: taps.ITEM_DIGITS])
        yield _button(language, "button-split", split)


def _joined_by_time(case: Case) -> UUID | None:
    """The last image, if only its time says that it belongs here, and it can leave."""
    last = next(reversed(case.images.values()), None)
    if last is None or len(case.images) < 2 or last.submitted.joined != "window":
        return None
    return last.submitted.item


# Choices on the card


def cause_keyboard(case_id: UUID, language: str, purpose: Literal["opinion", "final"]) -> Rows:
    """All causes; the final one goes on to its evidence."""
    kind = taps.GiveOpinion if purpose == "opinion" else taps.ChooseEvidence
    causes = tuple(
        (Button(label=capital(language, f"cause-{cause}"), action=taps.pack(kind(case_id, cause))),)
        for cause in CAUSES
    )
    return (*causes, _back(case_id, language))


def evidence_keyboard(case_id: UUID, cause: Cause, language: str) -> Rows:
    """What confirms the cause: one tap records it."""
    found = tuple(
        (
            Button(
                label=capital(language, f"evidence-{evidence}"),
                action=taps.pack(taps.ConfirmLabel(case_id, cause, evidence)),
            ),
        )
        for evidence in EVIDENCE
    )
    return (*found, _back(case_id, language))


def same_patient_keyboard(
    case_id: UUID, others: Sequence[CaseLine], language: str, *, page: int, more: bool
) -> Rows:
    """The person's other cases, latest first: each tap asks once more, since it is for good."""
    rows = tuple(
        (Button(label=_case_label(line, language), action=taps.pack(_confirm(case_id, line.case))),)
        for line in others
    )
    pager = _pager(language, page, more, lambda page: taps.ChooseSamePatient(case_id, page))
    return (*rows, *pager, _back(case_id, language))


def confirm_keyboard(case_id: UUID, other: UUID, language: str) -> Rows:
    link = taps.LinkSamePatient(case_id, other.hex[: taps.CASE_DIGITS])
    return ((_button(language, "button-one-patient", link),), _back(case_id, language))


def _confirm(case_id: UUID, other: UUID) -> Tap:
    return taps.ConfirmSamePatient(case_id, other.hex[: taps.CASE_DIGITS])


def asking(card: Card, question: str, rows: Rows) -> Card:
    """The card with a question under it, and the answers as its buttons."""
    return Card(text=f"{card.text}\n\n<b>{question}</b>", rows=rows)


# All examinations


def all_examinations(case: Case, case_id: UUID, catalogue: Catalogue, language: str) -> Card:
    """Every examination with why, when and its source, in the order of the case's advice."""
    blocks = [
        _examination(number, text, language)
        for number, row in enumerate(advice.choose(catalogue, case.prediction, case.af), 1)
        if (text := catalogue[row.id].text) is not None
    ]
    header = say(language, "examinations", code=code_of(case))
    return Card(text=_fitting(header, blocks, language), rows=(_back(case_id, language),))


def _examination(number: int, text: Added | Revised, language: str) -> str:
    name, details = within(language, text.name), within(language, text.why)
    if text.when.condition is not None:
        condition = within(language, text.when.condition)
        details += "; " + plainly(language, "examination-condition", condition=condition)
    priority = plainly(language, f"priority-{text.priority}")
    source = (
        say(language, "examination-source", source=text.source)
        if text.verified
        else say(language, "examination-unverified")
    )
    block = say(
        language, "examination", number=number, name=name, priority=priority, details=details
    )
    return f"{block}\n{source}"


def _fitting(header: str, blocks: Sequence[str], language: str) -> str:
    """As many whole blocks as a message holds, and how many are missing."""
    for count in range(len(blocks), 0, -1):
        missing = len(blocks) - count
        more = [say(language, "examinations-more", count=missing)] if missing else []
        text = "\n".join([header, *blocks[:count], *more])
        if units(text) <= MESSAGE_UNITS_MAX:
            return text
    return header


def units(text: str) -> int:
    """The length messengers count: UTF-16 units of what is visible."""
    return len(unescape(re.sub(r"</?[bi]>", "", text)).encode("utf-16-le")) // 2


# My cases


def cases_card(
    lines: Sequence[CaseLine], language: str, *, page: int = 0, more: bool = False
) -> Card:
    """One button per case, latest first; `more` says that earlier ones follow on another page."""
    rows = [
        (Button(label=_case_label(line, language), action=taps.pack(taps.OpenCase(line.case))),)
        for line in lines
    ]
    text = say(language, "cases" if lines else "no-cases")
    return Card(text=text, rows=(*rows, *_pager(language, page, more, taps.ListCases)))


def _pager(language: str, page: int, more: bool, turn: Callable[[int], Tap]) -> Rows:
    """The row that leads to the neighbouring pages, if there are any."""
    later = [_button(language, "button-later", turn(page - 1))] if page else []
    earlier = [_button(language, "button-earlier", turn(page + 1))] if more else []
    return ((*later, *earlier),) if page or more else ()


def _case_label(line: CaseLine, language: str) -> str:
    told = line.cause if line.state in ("answered", "confirmed") else None
    cause = [plainly(language, f"cause-{told}")] if told else []
    state = plainly(language, f"state-{line.state}")
    code = f"{ALIKE} {line.code}" if line.alike else line.code
    return " · ".join([code, f"{line.time:%d.%m}", state, *cause])


# Coming in


def stranger_card(language: str) -> Card:
    ask = _button(language, "button-ask", taps.AskAccess())
    return Card(text=say(language, "stranger"), rows=((ask,),))


def access_card(person: UUID, name: str, language: str) -> Card:
    """What an admin sees when a stranger asks."""
    approve = _button(language, "button-approve", taps.Approve(person))
    return Card(text=say(language, "access-asked", name=name), rows=((approve,),))


def consent_card(language: str) -> Card:
    agree = _button(language, "button-consent", taps.Consent(NOTICE))
    return Card(text=notice_text(language), rows=((agree,),))


def notice_text(language: str) -> str:
    """The research notice, exactly as a consent is about it."""
    return say(language, "notice", version=NOTICE)


# Buttons


def _button(language: str, key: str, tap: Tap, ticked: bool = False) -> Button:
    label = plainly(language, key)
    return Button(label=f"✓ {label}" if ticked else label, action=taps.pack(tap))


def _back(case_id: UUID, language: str) -> tuple[Button, ...]:
    return (_button(language, "button-back", taps.BackToCard(case_id)),)
