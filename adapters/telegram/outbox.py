"""The outbox: says in Telegram what was intended, answers once.

Telegram has no idempotency key, so a new message can never be sent exactly once. An answer is
therefore always an *edit* of the case's card, which may be repeated for ever; the only thing sent
anew for a case is a placeholder, of which a second one is harmless. Every other new message is
noted before it is sent: if what became of it is unknown, it is not sent again.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from adapters.telegram.api import Ambiguous, Away, BotApi, Rejected, TooMany
from commands import cases
from commands.ports import Card, Message, Slots
from commands.transact import Books, from_outside
from domain.case import AnswerDelivered, CardPlaced
from domain.events import Request
from domain.sealed import additional_data, plain
from workers.outgoing import Outgoing, Say, ShowCard, Swap, Toast, parse
from workers.reactor import Done, Ignored, Outcome, Poison, Retry

ROLE = "outbox"
CHANNEL = "telegram"
SUBJECTS = (f"ictus.out.{CHANNEL}.>",)
SILENT_SECONDS_MAX = 10
CALL_SPACING_SECONDS = 1 / 25

SENDING, NOT_SENT = b"sending", b"not-sent"
_GONE = ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID")
_UNCHANGED = "message is not modified"


class Outbox(NamedTuple):
    books: Books
    api: BotApi
    slots: Slots
    pace: "Pace"

    async def react(self, message: Message) -> Outcome:
        """One intended message; 429 and outages wait, a refusal by Telegram ends it."""
        try:
            await self.pace.turn()
            return await self._deliver(parse(message.data), message.sequence)
        except TooMany as many:
            self.pace.pause(many.retry_after_s)
            return Retry(many.retry_after_s)
        except (Away, Ambiguous):
            return Retry(1.0)
        except Rejected as refused:
            return Ignored() if refused.code == 403 else Poison(f"telegram-{refused.code}")

    async def _deliver(self, outgoing: Outgoing, sequence: int) -> Outcome:
        match outgoing:
            case ShowCard():
                return await self._show(outgoing)
            case Say():
                return await self._say(outgoing, f"said.{sequence}")
            case Toast():
                return await self._toast(outgoing)
            case Swap():
                return await self._swap(outgoing)

    # The card of a case

    async def _show(self, shown: ShowCard) -> Outcome:
        if await self._is_overtaken(shown):
            return Ignored()
        await self.slots.put(f"shown.{shown.case}", str(shown.sequence).encode())
        message_id = await self._placed(shown) or await self._place(shown)
        if not await self._edit(shown.address, message_id, shown.card):
            message_id = await self._place(shown)
            await self._edit(shown.address, message_id, shown.card)
        if shown.answer is not None:
            await self._record_delivery(shown, shown.answer, message_id)
        return Done()

    async def _is_overtaken(self, shown: ShowCard) -> bool:
        """Noted before it is shown: an edit whose answer was lost may have been made."""
        latest = await self.slots.get(f"shown.{shown.case}")
        return latest is not None and int(latest) > shown.sequence

    async def _placed(self, shown: ShowCard) -> int | None:
        """The card's message in Telegram, if there is one."""
        case = await cases.load(self.books, shown.case)
        if case.card is None or case.card_id is None:
            return None
        aad = additional_data(case.card_id, "message")
        return int(await self.books.vault.unseal(case.card.message, aad))

    async def _place(self, shown: ShowCard) -> int:
        """Sends the placeholder and records which message it is."""
        sent = await self.api.call("sendMessage", _new(shown.address, shown.placeholder, None))
        message_id = int(sent["message_id"])
        chat = shown.address.split(":", 1)[1]
        card = await self.books.vault.derive("card", CHANNEL, chat, str(message_id))
        placed = CardPlaced(card=card, channel=CHANNEL, to=shown.to, message=plain(str(message_id)))
        await cases.place_card(self.books, self._request(card), shown.case, placed)
        return message_id

    async def _edit(self, address: str, message_id: int, card: Card) -> bool:
        """False when the message is gone."""
        try:
            await self.api.call("editMessageText", _edited(address, message_id, card))
        except Rejected as refused:
            if any(words in refused.description for words in _GONE):
                return False
            if _UNCHANGED not in refused.description:
                raise
        return True

    async def _record_delivery(self, shown: ShowCard, answer: UUID, message_id: int) -> None:
        """An edit is silent: after a long wait one short reply tells that the answer is there."""
        if answer in (await cases.load(self.books, shown.case)).delivered:
            return
        waited = self.books.clock.now() - shown.asked if shown.asked else timedelta()
        if waited > timedelta(seconds=SILENT_SECONDS_MAX):
            ready = Say(address=shown.address, card=Card(shown.ready), reply_to=message_id)
            await self._say(ready, f"ready.{answer}")
        delivered = AnswerDelivered(answer=answer, to=shown.to, channel=CHANNEL)
        request = self._request(uuid5(answer, "delivered"))
        await cases.deliver_answer(self.books, request, shown.case, delivered)

    # Everything else

    async def _say(self, said: Say, note: str) -> Outcome:
        """At most once: what may have been sent is not sent again."""
        if not await self.slots.claim(note, SENDING):
            if await self.slots.get(note) == SENDING:
                return Ignored()
            await self.slots.put(note, SENDING)
        try:
            await self.api.call("sendMessage", _new(said.address, said.card, said.reply_to))
        except (TooMany, Away):
            await self.slots.put(note, NOT_SENT)
            raise
        except Ambiguous:
            return Ignored()
        return Done()

    async def _toast(self, toast: Toast) -> Outcome:
        """A button's note is worthless after some seconds, so a late one is dropped."""
        try:
            await self.api.call(
                "answerCallbackQuery", {"callback_query_id": toast.press, "text": toast.text}
            )
        except (Rejected, Ambiguous):
            return Ignored()
        return Done()

    async def _swap(self, swap: Swap) -> Outcome:
        return Done() if await self._edit(swap.address, swap.message, swap.card) else Ignored()

    def _request(self, id_: UUID) -> Request:
        return from_outside(self.books, id_, f"worker:{ROLE}", ROLE)


class Pace:
    """At most so many calls a second to Telegram, and none while it asked for a pause."""

    def __init__(self, spacing_s: float = CALL_SPACING_SECONDS) -> None:
        self._spacing_s, self._next = spacing_s, 0.0

    async def turn(self) -> None:
        now = time.monotonic()
        self._next = max(self._next, now) + self._spacing_s
        await asyncio.sleep(self._next - self._spacing_s - now)

    def pause(self, seconds: float) -> None:
        self._next = max(self._next, time.monotonic() + seconds)


def chat_key(message: Message) -> str:
    """One chat's messages go one after the other."""
    return ".".join(message.subject.split(".")[2:4])


def _new(address: str, card: Card, reply_to: int | None) -> dict[str, Any]:
    reply = {"message_id": reply_to, "allow_sending_without_reply": True} if reply_to else None
    return {
        "chat_id": int(address.split(":", 1)[1]),
        "text": card.text,
        "parse_mode": "HTML",
        "reply_markup": _markup(card) if card.rows else None,
        "reply_parameters": reply,
    }


def _edited(address: str, message_id: int, card: Card) -> dict[str, Any]:
    return {
        **_chat(address, message_id),
        "text": card.text,
        "parse_mode": "HTML",
        "reply_markup": _markup(card),
    }


def _chat(address: str, message_id: int) -> dict[str, Any]:
    return {"chat_id": int(address.split(":", 1)[1]), "message_id": message_id}


def _markup(card: Card) -> dict[str, Any]:
    rows = [
        [{"text": button.label, "callback_data": button.action} for button in row]
        for row in card.rows
    ]
    return {"inline_keyboard": rows}
