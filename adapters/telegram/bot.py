"""The bot: an update is parsed into a command; what people then read follows from events.

Handlers parse, ask a command, and return. They never talk to the model and never call Telegram:
short replies are intended messages like all others, and the outbox sends them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import msgspec
from aiogram import BaseMiddleware, Bot, Dispatcher, F, Router
from aiogram.client.session.base import BaseSession
from aiogram.enums import ChatType
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import CallbackQuery, Message, TelegramObject, Update

from adapters.telegram import buttons
from adapters.telegram.desk import Desk, Visit
from commands import ports
from commands.ports import Card
from domain.case import Channel
from domain.errors import NoConsent, NotInvited, Refused
from workers.card import consent_card, stranger_card
from workers.reactor import Done, Outcome
from workers.texts import refusal, say

ROLE = "bot"
SUBJECTS = ("ictus.in.telegram.>",)
IMAGE_TYPES = ("image/", "application/octet-stream", "application/dicom")


class BotReaction:
    """Feeds raw updates from JetStream to aiogram."""

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._bot = Bot(token, session=_NoCalls())
        self._dispatcher = Dispatcher()
        self._dispatcher.update.outer_middleware(Visits(desk))
        self._dispatcher.include_router(_router())

    async def react(self, message: ports.Message) -> Outcome:
        update: dict[str, Any] = msgspec.json.decode(message.data)
        await self._dispatcher.feed_raw_update(self._bot, update)
        return Done()

    async def give_up(self, message: ports.Message) -> None:
        """The update failed again and again; the person is told, with a code to quote."""
        update: dict[str, Any] = msgspec.json.decode(message.data)
        await self._desk.apologise(update)


def chat_key(message: ports.Message) -> str:
    """One chat's updates are handled in order."""
    return ".".join(message.subject.split(".")[3:5])


class Visits(BaseMiddleware):
    """Gives each handler the visit: who came, with which request; and says refusals kindly."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        assert isinstance(event, Update)
        source = event.message or event.callback_query
        if source is None or source.from_user is None:
            return None
        visit = await self._desk.visit(event.update_id, source)
        try:
            return await handler(event, {**data, "visit": visit})
        except NotInvited:
            await visit.refuse(stranger_card(visit.language))
        except NoConsent:
            await visit.refuse(consent_card(visit.language))
        except Refused as refused:
            await visit.refuse(Card(refusal(visit.language, refused)))
        return None


async def on_invitation(message: Message, command: CommandObject, visit: Visit) -> None:
    await visit.join(command.args or "")


async def on_start(message: Message, visit: Visit) -> None:
    await visit.must_be_consented()
    await visit.reply(Card(say(visit.language, "welcome")))


async def on_cases(message: Message, visit: Visit) -> None:
    await visit.must_be_consented()
    await visit.reply(await visit.cases_card(0))


async def on_photo(message: Message, visit: Visit) -> None:
    assert message.photo
    await _submit(message, visit, message.photo[-1].file_id, "photo")


async def on_document(message: Message, visit: Visit) -> None:
    assert message.document
    if not (message.document.mime_type or IMAGE_TYPES[1]).startswith(IMAGE_TYPES):
        await visit.must_be_consented()
        await visit.reply(Card(say(visit.language, "unsupported")))
        return
    await _submit(message, visit, message.document.file_id, "document")


async def on_anything_else(message: Message, visit: Visit) -> None:
    await visit.must_be_consented()
    await visit.reply(Card(say(visit.language, "help")))


async def on_button(press: CallbackQuery, visit: Visit) -> None:
    assert press.data
    await buttons.press(press.data, visit)


async def _submit(message: Message, visit: Visit, file_id: str, channel: Channel) -> None:
    replied = message.reply_to_message
    await visit.submit(
        file_id=file_id,
        channel=channel,
        sent=message.date,
        caption=message.caption or "",
        album=message.media_group_id,
        reply_to=replied.message_id if replied else None,
    )


MESSAGES: tuple[tuple[Any, ...], ...] = (
    (on_invitation, CommandStart(deep_link=True)),
    (on_start, CommandStart()),
    (on_cases, Command("cases")),
    (on_photo, F.photo),
    (on_document, F.document),
    (on_anything_else,),
)
"""Handler and filters: a message goes to the first that takes it."""


def _router() -> Router:
    router = Router(name="ictus")
    router.message.filter(F.chat.type == ChatType.PRIVATE)
    for handler, *filters in MESSAGES:
        router.message.register(handler, *filters)
    router.callback_query.register(on_button, F.data)
    return router


class _NoCalls(BaseSession):
    """The bot itself calls nothing: what is said goes through the outbox."""

    async def make_request(
        self,
        bot: Bot,
        method: Any,
        timeout: int | None = None,  # noqa: ASYNC109  as aiogram has it
    ) -> NoReturn:
        raise RuntimeError(f"the bot must not call {type(method).__name__}: use the outbox")

    async def stream_content(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the bot must not download: ingest does")
        yield b""

    async def close(self) -> None: ...
