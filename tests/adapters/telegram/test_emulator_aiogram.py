"""Real aiogram accepts every answer and every update of the emulated Bot API."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from adapters.telegram.emulator import Attachment, Emulator, Fault, User
from tests.adapters.telegram.botapi import TOKEN, picture

if TYPE_CHECKING:
    from aiogram import Bot
    from aiogram.types import Message


@pytest.fixture
async def bot(emulator: Emulator) -> AsyncIterator["Bot"]:
    from aiogram import Bot  # seconds of import: only for the tests that need it
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer

    session = AiohttpSession(api=TelegramAPIServer.from_base(emulator.base_url))
    async with Bot(TOKEN, session=session) as running:
        yield running


def labels(message: "Message") -> list[str]:
    assert message.reply_markup is not None
    return [button.text for row in message.reply_markup.inline_keyboard for button in row]


async def test_aiogram_understands_everything_people_do(bot: "Bot", user: User) -> None:
    card = await bot.send_message(501, "card")
    photo = await user.send_photo(picture(), "one", reply_to=card.message_id)
    await user.send_album([Attachment(picture(300, 200)), Attachment(b"DICM", file_name="a.dcm")])
    await user.send_text("/cases")
    await user.edit_text(photo.id, "two")
    await user.press(card.message_id, "c:1:ok")
    await user.block()
    await user.unblock()
    updates: list[Any] = await bot.get_updates()
    assert [update.event_type for update in updates] == [
        *("message", "message", "message", "message", "edited_message", "callback_query"),
        *("my_chat_member", "my_chat_member"),
    ]
    first, edited, query = (updates[n].event for n in (0, 4, 5))
    assert first.photo[-1].width == 1280
    assert first.reply_to_message.text == "card"
    assert (edited.caption, query.message.message_id) == ("two", card.message_id)
    content = await bot.download(first.photo[-1])
    assert content is not None
    assert content.read().startswith(b"\xff\xd8")


async def test_aiogram_sends_edits_and_answers(bot: "Bot", user: User) -> None:
    from aiogram.types import (
        BotCommand,
        BufferedInputFile,
        InlineKeyboardButton,
        InlineKeyboardMarkup,
        InputMediaPhoto,
        ReplyParameters,
    )

    keys = InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text="Agree", callback_data="c:1:ok")]]
    )
    shot = BufferedInputFile(picture(900, 400), "montage.png")
    card = await bot.send_message(
        501,
        "<b>wait</b>",
        parse_mode="HTML",
        reply_markup=keys,
        reply_parameters=ReplyParameters(message_id=user.messages[0].id),
    )
    assert (labels(card), card.html_text) == (["Agree"], "<b>wait</b>")
    place: dict[str, Any] = {"chat_id": 501, "message_id": card.message_id}
    await bot.edit_message_text("ready", **place)
    await bot.edit_message_media(InputMediaPhoto(media=shot, caption="seen"), **place)
    await bot.edit_message_caption(caption="read", **place)
    marked = await bot.edit_message_reply_markup(reply_markup=keys, **place)
    assert not isinstance(marked, bool)
    assert (marked.caption, labels(marked), bool(marked.photo)) == ("read", ["Agree"], True)
    assert (await bot.send_photo(501, shot, caption="photo")).photo
    assert (await bot.send_document(501, shot)).document
    album = await bot.send_media_group(501, [InputMediaPhoto(media=shot)] * 2)
    assert len({one.media_group_id for one in album}) == 1
    pressed = await user.press(card.message_id, text="Agree")
    assert await bot.answer_callback_query(pressed.id, "Noted")
    assert await bot.send_chat_action(501, "typing")
    assert await bot.set_my_commands([BotCommand(command="cases", description="My cases")])
    assert await bot.delete_message(501, card.message_id)
    assert (await bot.get_chat(501)).first_name == "Demo Clinician 1"
    assert (await bot.me()).id == 7000000001
    assert await bot.set_webhook("https://example.invalid/hook", drop_pending_updates=True)
    assert (await bot.get_webhook_info()).pending_update_count == 0
    assert await bot.delete_webhook()


async def test_aiogram_raises_its_own_errors(bot: "Bot", emulator: Emulator, user: User) -> None:
    from aiogram.exceptions import (
        TelegramBadRequest,
        TelegramConflictError,
        TelegramForbiddenError,
        TelegramNetworkError,
        TelegramRetryAfter,
        TelegramServerError,
    )

    with pytest.raises(TelegramBadRequest, match="message text is empty"):
        await bot.send_message(501, " ")
    faults = {
        TelegramRetryAfter: Fault("flood", times=1, retry_after=3),
        TelegramServerError: Fault("server_error", times=1),
        TelegramNetworkError: Fault("reset_after", times=1),
    }
    for error, fault in faults.items():
        emulator.faults.set([fault])
        with pytest.raises(error):
            await bot.send_message(501, "text")
    await bot.set_webhook("https://example.invalid/hook")
    with pytest.raises(TelegramConflictError):
        await bot.get_updates()
    await user.block()
    with pytest.raises(TelegramForbiddenError):
        await bot.send_message(501, "text")
