"""Result processing: what happened to a case or a person becomes what people read.

Messenger-neutral: it intends messages with addresses, an outbox delivers them. A case has one card,
a pure function of its state, shown again whenever something on it changed.
"""

from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from commands import cases, models, people
from commands.ports import Card, Queue
from commands.register import Register
from commands.transact import Books, because
from domain import advice
from domain.case import (
    AnswerComposed,
    Case,
    ContextGiven,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImagesMoved,
    ImageSubmitted,
    LabelConfirmed,
    LabelRevised,
    Linked,
    OpinionGiven,
    PredictionDeclined,
    PredictionProduced,
)
from domain.events import CASE, Recorded, fold
from domain.examination import Examination
from domain.identity import Instant, reaction
from domain.person import AccessAsked, Consented, RoleGranted
from workers import outgoing
from workers.card import access_card, case_card, consent_card
from workers.outgoing import Say, ShowCard
from workers.reactor import Done, Ignored, Outcome
from workers.texts import NOTICE, say

ROLE = "answer"
SUBJECTS = (
    "ictus.ev.*.case.*.image-submitted",
    "ictus.ev.*.case.*.image-ingested",
    "ictus.ev.*.case.*.image-rejected",
    "ictus.ev.*.case.*.image-quarantined",
    "ictus.ev.*.case.*.images-moved",
    "ictus.ev.*.case.*.prediction-produced",
    "ictus.ev.*.case.*.prediction-declined",
    "ictus.ev.*.case.*.context-given",
    "ictus.ev.*.case.*.opinion-given",
    "ictus.ev.*.case.*.label-confirmed",
    "ictus.ev.*.case.*.label-revised",
    "ictus.ev.*.case.*.linked",
    "ictus.ev.*.person.*.access-asked",
    "ictus.ev.*.person.*.role-granted",
    "ictus.ev.*.person.*.consented",
)


class Answer(NamedTuple):
    """The worker's means: registers of what is few, queues for what is meant to be said."""

    books: Books
    queue: Queue
    models: Register
    examinations: Register
    people: Register

    async def react(self, recorded: Recorded) -> Outcome:
        match recorded.event:
            case AccessAsked():
                return await self._ask_admins(recorded)
            case RoleGranted():
                return await self._show_notice(recorded)
            case Consented(language=language):
                welcome = Card(text=say(language, "welcome"))
                return await self._say(recorded, recorded.aggregate_id, welcome)
        return await self._answer(recorded)

    # Cases

    async def _answer(self, recorded: Recorded) -> Outcome:
        """Nobody waits for a card of a case that was taken in from existing data."""
        case_id = recorded.aggregate_id
        history = await self.books.ledger.load(CASE.name, case_id)
        case: Case = fold(CASE, history)
        if case.opened is None or case.opened.origin == "import":
            return Ignored()
        collecting = await models.answering(self.models, case_id, case.opened) is None
        if not _is_shown(case, recorded, collecting):
            return Ignored()
        catalogue = await self.examinations.refresh()
        person = await people.load(self.books, case.opened.by)
        if _needs_answer(case):
            await self._compose(recorded, case, catalogue, person.language, collecting)
            history = await self.books.ledger.load(CASE.name, case_id)
            case = fold(CASE, history)
        await self._show(recorded, case, history, catalogue, collecting)
        return Done()

    async def _compose(
        self,
        recorded: Recorded,
        case: Case,
        catalogue: Mapping[UUID, Examination],
        language: str,
        collecting: bool,
    ) -> None:
        """Fixes in the ledger which advice, in which revision and language, the person is shown."""
        assert case.prediction_id is not None
        card = case_card(case, recorded.aggregate_id, catalogue, language, collecting)
        chosen = advice.choose(catalogue, case.prediction, case.af)
        answer = AnswerComposed(
            prediction=case.prediction_id,
            advice=tuple((row.id, row.revision) for row in chosen),
            language=language,
            notice=NOTICE,
            text_sha256=sha256(card.text.encode()).hexdigest(),
        )
        request = because(self.books, recorded, ROLE)
        await cases.compose_answer(self.books, request, recorded.aggregate_id, answer)

    async def _show(
        self,
        recorded: Recorded,
        case: Case,
        history: list[Recorded],
        catalogue: Mapping[UUID, Examination],
        collecting: bool,
    ) -> None:
        assert case.opened is not None
        person = await people.load(self.books, case.opened.by)
        language = person.language
        unanswered = replace(case, prediction=None, answer=None, label=None, opinion=None)
        shown = ShowCard(
            case=recorded.aggregate_id,
            to=case.opened.by,
            address=await people.address_of(self.books, case.opened.by, person),
            sequence=history[-1].sequence,
            card=case_card(case, recorded.aggregate_id, catalogue, language, collecting),
            placeholder=case_card(unanswered, recorded.aggregate_id, catalogue, language, False),
            ready=say(language, "answer-ready"),
            answer=case.answer_id,
            asked=_asked(history),
        )
        await outgoing.send(self.queue, shown, str(reaction(recorded.id, "card")))

    # People

    async def _ask_admins(self, recorded: Recorded) -> Outcome:
        stranger = await people.load(self.books, recorded.aggregate_id)
        name = await people.name_of(self.books, recorded.aggregate_id, stranger)
        async for admin, language in self._admins():
            card = access_card(recorded.aggregate_id, name, language)
            await self._say(recorded, admin, card)
        return Done()

    async def _admins(self) -> AsyncIterator[tuple[UUID, str]]:
        for id_, person in (await self.people.refresh()).items():
            if "admin" in person.roles:
                yield id_, person.language

    async def _show_notice(self, recorded: Recorded) -> Outcome:
        person = await people.load(self.books, recorded.aggregate_id)
        if NOTICE in person.consents:
            return Ignored()
        return await self._say(recorded, recorded.aggregate_id, consent_card(person.language))

    async def _say(self, recorded: Recorded, person_id: UUID, card: Card) -> Outcome:
        person = await people.load(self.books, person_id)
        address = await people.address_of(self.books, person_id, person)
        message_id = str(reaction(recorded.id, f"say/{person_id}"))
        await outgoing.send(self.queue, Say(address=address, card=card), message_id)
        return Done()


def _is_shown(case: Case, recorded: Recorded, collecting: bool) -> bool:
    """Does this event change what the card says? Steps that the answer will overtake do not."""
    match recorded.event:
        case ImageSubmitted(joined=joined):
            return joined != "album" or len(case.images) == 1
        case ImageIngested():
            return collecting and not case.waiting
        case ImageRejected() | ImageQuarantined():
            return True
        case PredictionProduced() | PredictionDeclined():
            return recorded.id == case.prediction_id
        case ImagesMoved() | ContextGiven() | OpinionGiven() | LabelConfirmed() | LabelRevised():
            return True
        case Linked():
            return True
    return False


def _needs_answer(case: Case) -> bool:
    answered = case.answer.prediction if case.answer else None
    return case.prediction_id is not None and case.prediction_id != answered


def _asked(history: list[Recorded]) -> Instant | None:
    """What the clinician has been waiting since: the last image, or the last fact, they gave."""
    asked = [
        recorded.event.sent
        if isinstance(recorded.event, ImageSubmitted)
        else recorded.envelope.time
        for recorded in history
        if isinstance(recorded.event, ImageSubmitted | ContextGiven)
    ]
    return max(asked, default=None)
