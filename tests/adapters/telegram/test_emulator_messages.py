"""Sending and editing succeed and are refused as at Telegram, in its own words."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.telegram.emulator import Emulator, User
from tests.adapters.telegram.botapi import KEYBOARD, Api, Clock, picture


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"chat_id": 404, "text": "x"}, "Bad Request: chat not found"),
        ({"chat_id": None, "text": "x"}, "Bad Request: chat_id is empty"),
        ({"text": ""}, "Bad Request: message text is empty"),
        ({"text": " \n "}, "Bad Request: message text is empty"),
        ({"text": "x" * 4097}, "Bad Request: message is too long"),
        ({"text": "🧠" * 2049}, "Bad Request: message is too long"),
        ({"text": "x", "parse_mode": "Strange"}, "Bad Request: unsupported parse_mode"),
        ({"text": "x", "reply_markup": "{"}, "can't parse reply keyboard markup JSON object"),
        ({"text": "x", "reply_markup": [1]}, "object expected as reply markup"),
        ({"text": "x", "reply_parameters": {"message_id": 9}}, "message to be replied not found"),
    ],
)
async def test_a_message_telegram_refuses_is_refused(
    api: Api, user: User, params: dict[str, Any], why: str
) -> None:
    assert why in await api.refusal("sendMessage", **{"chat_id": user.id} | params)
    assert len(user.messages) == 1


async def test_an_html_text_is_measured_after_its_tags_are_read(api: Api, user: User) -> None:
    sent = await api(
        "sendMessage", chat_id=501, text="<b>" + "x" * 4096 + "</b>", parse_mode="HTML"
    )
    assert sent["entities"] == [{"type": "bold", "offset": 0, "length": 4096}]


@pytest.mark.parametrize(
    ("button", "why"),
    [
        ({"text": "x"}, "Text buttons are unallowed in the inline keyboard"),
        ({"callback_data": "x"}, 'Field "text" must be of type String'),
        ({"text": "x", "callback_data": "x" * 65}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "callback_data": "я" * 33}, "BUTTON_DATA_INVALID"),
        ({"text": "x", "copy_text": {"text": "x" * 257}}, "BUTTON_COPY_TEXT_INVALID"),
        ({"text": "x", "url": "https://example.org", "style": "loud"}, "invalid button style"),
    ],
)
async def test_a_button_telegram_refuses_is_refused(
    api: Api, user: User, button: dict[str, Any], why: str
) -> None:
    markup = {"inline_keyboard": [[button]]}
    assert why in await api.refusal("sendMessage", chat_id=501, text="x", reply_markup=markup)


async def test_a_reply_to_a_missing_message_goes_out_when_that_is_allowed(
    api: Api, user: User
) -> None:
    reply = {"message_id": 9, "allow_sending_without_reply": True}
    sent = await api("sendMessage", chat_id=user.id, text="x", reply_parameters=reply)
    assert "reply_to_message" not in sent


async def test_nobody_is_reachable_before_writing_first_or_after_blocking(
    emulator: Emulator, api: Api, user: User
) -> None:
    emulator.user(502, "Demo Clinician 2")
    assert "chat not found" in await api.refusal("sendMessage", chat_id=502, text="x")
    await user.block()
    blocked = await api.answer("sendMessage", chat_id=501, text="x")
    assert (blocked["error_code"], blocked["description"]) == (
        403,
        "Forbidden: bot was blocked by the user",
    )
    await user.unblock()
    await api("sendMessage", chat_id=501, text="x")
    changes = [update["my_chat_member"]["new_chat_member"] for update in await api.updates()]
    assert [change["status"] for change in changes] == ["kicked", "member"]


@pytest.mark.parametrize("count", [1, 11])
async def test_an_album_of_the_bot_has_two_to_ten_items(api: Api, user: User, count: int) -> None:
    media = [{"type": "photo", "media": "x"}] * count
    assert "2-10 items" in await api.refusal("sendMediaGroup", chat_id=501, media=media)


async def test_an_album_of_the_bot_has_no_keyboard(api: Api, user: User) -> None:
    photo = user.world.keep_photo([(90, 90, picture(90, 90, "JPEG"))])["photo"][0]["file_id"]
    media = [{"type": "photo", "media": photo, "caption": "<i>a</i>", "parse_mode": "HTML"}] * 2
    why = await api.refusal("sendMediaGroup", chat_id=501, media=media, reply_markup=KEYBOARD)
    assert "reply markup" in why
    sent = await api("sendMediaGroup", chat_id=501, media=media)
    assert [one["caption_entities"][0]["type"] for one in sent] == ["italic", "italic"]
    assert sent[0]["media_group_id"] == sent[1]["media_group_id"]


async def test_a_caption_over_1024_characters_is_refused(api: Api, user: User) -> None:
    photo = user.world.keep_photo([(90, 90, b"jpeg")])["photo"][0]["file_id"]
    assert (
        await api.refusal("sendPhoto", chat_id=501, photo=photo, caption="x" * 1025)
        == "Bad Request: message caption is too long"
    )
    await api("sendPhoto", chat_id=501, photo=photo, caption="x" * 1024)


async def test_an_edit_keeps_history_and_drops_a_keyboard_not_repeated(
    api: Api, user: User, clock: Clock
) -> None:
    card = await api("sendMessage", chat_id=501, text="wait", reply_markup=KEYBOARD)
    clock.now += timedelta(seconds=9)
    ref = {"chat_id": 501, "message_id": card["message_id"]}
    edited = await api("editMessageText", **ref, text="<b>done</b>", parse_mode="HTML")
    assert edited["edit_date"] == card["date"] + 9
    assert "reply_markup" not in edited
    assert [one.body["text"] for one in user.message(card["message_id"]).versions] == [
        "wait",
        "done",
    ]


async def test_an_edit_that_changes_nothing_is_refused(api: Api, user: User) -> None:
    card = await api("sendMessage", chat_id=501, text="same", reply_markup=KEYBOARD)
    ref = {"chat_id": 501, "message_id": card["message_id"], "reply_markup": KEYBOARD}
    why = "Bad Request: message is not modified"
    assert (await api.refusal("editMessageText", **ref, text="same")).startswith(why)
    assert (await api.refusal("editMessageReplyMarkup", **ref)).startswith(why)
    assert len(user.messages[-1].versions) == 1


async def test_only_the_bots_own_messages_of_the_right_kind_are_editable(
    api: Api, user: User
) -> None:
    mine = user.messages[0].id
    card = await api("sendMessage", chat_id=501, text="card")
    photo = user.world.keep_photo([(90, 90, b"jpeg")])["photo"][0]["file_id"]
    shot = await api("sendPhoto", chat_id=501, photo=photo)

    async def why(method: str, message_id: int, **params: Any) -> str:
        refusal = await api.refusal(method, chat_id=501, message_id=message_id, **params)
        return refusal.removeprefix("Bad Request: ")

    assert await why("editMessageText", 1, text="x") == "message to edit not found"
    assert await why("editMessageText", mine, text="x") == "message can't be edited"
    text_only, caption_only = card["message_id"], shot["message_id"]
    no_text = "there is no text in the message to edit"
    no_caption = "there is no caption in the message to edit"
    assert await why("editMessageText", caption_only, text="x") == no_text
    assert await why("editMessageCaption", text_only, caption="x") == no_caption
    assert await why("editMessageText", text_only, text="<b>", parse_mode="HTML") == (
        "can't parse entities: Can't find end tag corresponding to start tag \"b\""
    )


async def test_a_text_card_becomes_a_photo_and_its_caption_changes(api: Api, user: User) -> None:
    card = await api("sendMessage", chat_id=501, text="wait")
    photo = user.world.keep_photo([(90, 90, b"jpeg")])["photo"][0]["file_id"]
    ref = {"chat_id": 501, "message_id": card["message_id"]}
    media = {"type": "photo", "media": photo, "caption": "first"}
    assert (await api("editMessageMedia", **ref, media=media))["caption"] == "first"
    edited = await api("editMessageCaption", **ref, caption="second", reply_markup=KEYBOARD)
    assert (edited["caption"], edited["reply_markup"]) == ("second", KEYBOARD)
    assert edited["photo"][0]["file_id"] == photo


async def test_a_deleted_message_is_gone_for_the_bot_but_not_from_the_record(
    api: Api, user: User, clock: Clock
) -> None:
    card, old = [await api("sendMessage", chat_id=501, text=text) for text in ("card", "old")]
    ref = {"chat_id": 501, "message_id": card["message_id"]}
    await api("deleteMessage", **ref)
    assert "message to delete not found" in await api.refusal("deleteMessage", **ref)
    assert "message to edit not found" in await api.refusal("editMessageText", **ref, text="x")
    assert [message.deleted_at is None for message in user.messages] == [True, False, True]
    clock.now += timedelta(hours=49)
    late = {"chat_id": 501, "message_id": old["message_id"]}
    assert "can't be deleted for everyone" in await api.refusal("deleteMessage", **late)
