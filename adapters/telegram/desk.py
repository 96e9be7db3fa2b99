"""Where a Telegram visit meets the commands: who came, which case is meant, what to say back.

Imports no aiogram, so that all of it can be tested and reused without it.
"""

from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid5

from adapters.telegram.inbox import chat_of
from commands import cases, models, people
from commands.ports import Card, Database, Queue, Unavailable
from commands.register import Register
from commands.transact import Books, from_outside
from domain.case import Case, Channel, Fact, Joined, Opinion, Origin
from domain.events import Request
from domain.identity import Instant
from domain.person import Person
from domain.stroke import Cause, Evidence
from projections import inbox, runner
from workers import outgoing
from workers.card import CaseLine, all_examinations, case_card, cases_card, consent_card
from workers.outgoing import Outgoing, Say, Swap, Toast
from workers.texts import LANGUAGES, NOTICE, say

CHANNEL = "telegram"
JOIN_SECONDS_MAX = 90
READ_MODEL_SECONDS_MAX = 5.0
CASES_PER_PAGE = 8


class User(Protocol):
    """A Telegram user, as aiogram's has it."""

    id: int
    full_name: str
    language_code: str | None


class Desk(NamedTuple):
    """The bot's means."""

    books: Books
    queue: Queue
    database: Database
    models: Register
    examinations: Register
    bot_id: int
    origin: Origin

    async def visit(self, update_id: int, source: Any) -> "Visit":
        """`source` is a message or a pressed button, as aiogram parsed it."""
        user: User = source.from_user
        message = getattr(source, "message", source)
        person_id = await self.books.vault.derive("person", CHANNEL, str(user.id))
        person = await people.load(self.books, person_id)
        request_id = await self.books.vault.derive(CHANNEL, str(self.bot_id), str(update_id))
        return Visit(
            desk=self,
            person_id=person_id,
            person=person,
            name=user.full_name,
            language=person.language if person.joined or person.asked else _spoken(user),
            address=f"{CHANNEL}:{message.chat.id if message else user.id}",
            message=message.message_id if message else 0,
            press=source.id if message is not source else "",
            request=from_outside(self.books, request_id, f"person:{person_id}", "bot"),
        )

    async def apologise(self, update: dict[str, Any]) -> None:
        """To whoever sent it, in their private chat; to nobody if it says not who."""
        update_id, chat = update["update_id"], chat_of(update)
        if chat <= 0:
            return
        person_id = await self.books.vault.derive("person", CHANNEL, str(chat))
        language = (await people.load(self.books, person_id)).language
        sorry = say(language, "error", code=f"{update_id % 0xFFFF:04X}")
        said = Say(address=f"{CHANNEL}:{chat}", card=Card(sorry))
        await outgoing.send(self.queue, said, f"sorry:{self.bot_id}:{update_id}")


class Visit(NamedTuple):
    """One update: who came, as what, and where an answer goes."""

    desk: Desk
    person_id: UUID
    person: Person
    name: str
    language: str
    address: str
    message: int
    press: str
    request: Request

    # Saying

    async def reply(self, card: Card, reply_to: int | None = None) -> None:
        await self._send(Say(address=self.address, card=card, reply_to=reply_to), "reply")

    async def toast(self, text: str) -> None:
        await self._send(Toast(address=self.address, press=self.press, text=text), "toast")

    async def swap(self, card: Card, note: str = "") -> None:
        """In the place of the message whose button was pressed."""
        swapped = Swap(address=self.address, message=self.message, card=card)
        await self._send(swapped, "swap")
        await self.toast(note)

    async def refuse(self, card: Card) -> None:
        """On a button as a toast, which has no buttons; else as a message."""
        if self.press and not card.rows:
            return await self.toast(card.text)
        await self.reply(card)
        if self.press:
            await self.toast("")

    async def _send(self, message: Outgoing, purpose: str) -> None:
        await outgoing.send(self.desk.queue, message, str(uuid5(self.request.id, purpose)))

    # People

    async def must_be_consented(self) -> None:
        """Raises NotInvited, NoConsent."""
        await people.load_consented(self.desk.books, self.person_id, NOTICE)

    async def join(self, token: str) -> None:
        """By an invitation; whoever is in already is welcomed. Raises Exhausted, NoConsent."""
        joined = await people.join(
            self.desk.books,
            self.request,
            self.person_id,
            token,
            address=self.address,
            name=self.name,
            language=self.language,
        )
        if not joined:
            await self.must_be_consented()
            await self.reply(Card(say(self.language, "welcome")))

    async def ask_access(self) -> None:
        await people.ask_access(
            self.desk.books,
            self.request,
            self.person_id,
            address=self.address,
            name=self.name,
            language=self.language,
        )
        await self.swap(Card(say(self.language, "access-requested")))

    async def approve(self, stranger: UUID) -> None:
        await people.approve(
            self.desk.books, self.request, stranger, role="clinician", by=self.person_id
        )
        await self.swap(Card(say(self.language, "access-approved")))

    async def consent(self, notice: str) -> None:
        text = consent_card(self.language).text
        await people.consent(
            self.desk.books,
            self.request,
            self.person_id,
            notice=notice,
            language=self.language,
            text_sha256=sha256(text.encode()).hexdigest(),
        )
        await self.swap(Card(text))

    # Cases

    async def submit(
        self,
        *,
        file_id: str,
        channel: Channel,
        sent: Instant,
        caption: str,
        album: str | None,
        reply_to: int | None,
    ) -> None:
        """An image: of the case it replies to, of its album's, of the one just begun, or of a new."""
        await self.must_be_consented()
        item = await self._derive("item")
        case, joined = await self._case_of(item, sent, album, reply_to)
        await cases.submit_image(
            self.desk.books,
            self.request,
            case,
            item=item,
            by=self.person_id,
            site=self.person.site,
            origin=self.desk.origin,
            channel=channel,
            joined=joined,
            sent=sent,
            address=f"{CHANNEL}:{file_id}",
            caption=caption,
        )

    async def _case_of(
        self, item: UUID, sent: Instant, album: str | None, reply_to: int | None
    ) -> tuple[UUID, Joined]:
        if reply_to is not None and (case := await self._case_of_card(reply_to)):
            return case, "reply"
        if album is not None:
            return await self.desk.books.vault.derive("album", self.address, album), "album"
        case = await self._derive("case")
        await self.read_own_writes()
        async with self.desk.database.acquire() as db:
            since = sent - timedelta(seconds=JOIN_SECONDS_MAX)
            recent = await inbox.recent_case(db, self.person_id, since, item)
        return (recent, "window") if recent and recent != case else (case, "first")

    async def _case_of_card(self, message_id: int) -> UUID | None:
        card = await self._card_id(message_id)
        await self.read_own_writes()
        async with self.desk.database.acquire() as db:
            return await inbox.case_by_card(db, card)

    async def _card_id(self, message_id: int) -> UUID:
        chat = self.address.split(":", 1)[1]
        return await self.desk.books.vault.derive("card", CHANNEL, chat, str(message_id))

    async def _derive(self, what: str) -> UUID:
        """The id of a thing that this very message brings."""
        return await self.desk.books.vault.derive(what, self.address, str(self.message))

    async def read_own_writes(self) -> None:
        """Waits until the read model has seen everything written so far. Raises Unavailable."""
        head = await self.desk.books.ledger.head()
        if not await runner.caught_up(
            self.desk.database, "inbox", head.sequence, READ_MODEL_SECONDS_MAX
        ):
            raise Unavailable("the read model `inbox` is behind: is the projector running?")

    async def own(self, case: UUID) -> Case:
        """Raises NoSuchCase, NotYours."""
        return await cases.load_owned(self.desk.books, case, self.person_id)

    async def card(self, case: UUID) -> Card:
        own = await self.own(case)
        assert own.opened is not None
        collecting = await models.answering(self.desk.models, case, own.opened) is None
        catalogue = await self.desk.examinations.refresh()
        return case_card(own, case, catalogue, self.language, collecting)

    async def examinations(self, case: UUID) -> Card:
        catalogue = await self.desk.examinations.refresh()
        return all_examinations(await self.own(case), case, catalogue, self.language)

    async def cases_card(self, page: int) -> Card:
        """One page of the person's cases, latest first."""
        await self.read_own_writes()
        async with self.desk.database.acquire() as db:
            found = await inbox.cases_of(
                db, self.person_id, CASES_PER_PAGE + 1, page * CASES_PER_PAGE
            )
        lines = [line(row) for row in found[:CASES_PER_PAGE]]
        return cases_card(lines, self.language, page=page, more=len(found) > CASES_PER_PAGE)

    async def opine(self, case: UUID, opinion: Opinion) -> None:
        books, person = self.desk.books, self.person_id
        changed = await cases.give_opinion(books, self.request, case, opinion, person)
        await self.note(case, changed, "opinion-recorded")

    async def tell(self, case: UUID, code: str, value: str) -> None:
        books, person = self.desk.books, self.person_id
        facts = (Fact(code=code, value=value),)
        changed = await cases.give_context(books, self.request, case, facts, person)
        await self.note(case, changed, "af-recorded")

    async def label(self, case: UUID, cause: Cause, evidence: Evidence) -> None:
        books, person = self.desk.books, self.person_id
        changed = await cases.confirm_label(books, self.request, case, cause, (evidence,), person)
        await self.note(case, changed, "label-recorded")

    async def split(self, case: UUID, item: str) -> None:
        await cases.split_image(self.desk.books, self.request, case, item, self.person_id)
        await self.note(case, True, "split-done")

    async def note(self, case: UUID, changed: bool, note: str) -> None:
        """The card itself is shown anew by what changed; a copy of it, and a card that had asked
        while nothing changed, here."""
        placed = (await self.own(case)).card
        text = say(self.language, note)
        if changed and placed and placed.card == await self._card_id(self.message):
            await self.toast(text)
        else:
            await self.swap(await self.card(case), text)


def _spoken(user: User) -> str:
    language = (user.language_code or "en")[:2]
    return language if language in LANGUAGES else "en"


def line(row: inbox.CaseLine) -> CaseLine:
    """As a list of cases shows it."""
    return CaseLine(
        code=row.code,
        case=row.case_id,
        state="confirmed" if row.state == "labelled" else row.state,
        cause=row.label or row.top,
        time=row.opened_at,
    )
