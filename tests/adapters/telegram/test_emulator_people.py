"""What people send, press and correct reaches the bot as Telegram would bring it."""

import io
from datetime import timedelta

import pytest
from aiohttp import FormData
from PIL import Image

from adapters.telegram.emulator import Attachment, User
from tests.adapters.telegram.botapi import KEYBOARD, TOKEN, Api, Clock, download, picture


async def test_a_photo_is_recompressed_to_the_sizes_telegram_keeps(api: Api, user: User) -> None:
    await user.send_photo(picture(1600, 1200), "slice 3")
    [update] = await api.updates()
    sizes = [(size["width"], size["height"]) for size in update["message"]["photo"]]
    assert sizes == [(90, 68), (320, 240), (800, 600), (1280, 960)]
    assert update["message"]["caption"] == "slice 3"
    image = Image.open(io.BytesIO(await download(api, update["message"]["photo"][-1]["file_id"])))
    assert (image.format, image.size) == ("JPEG", (1280, 960))


async def test_equal_photos_share_the_unique_id_but_not_the_file_id(api: Api, user: User) -> None:
    for _ in range(2):
        await user.send_photo(picture(640, 480))
    first, second = [one["message"]["photo"][-1] for one in await api.updates()]
    assert first["file_unique_id"] == second["file_unique_id"]
    assert first["file_id"] != second["file_id"]


async def test_a_broken_photo_reaches_the_bot_as_it_is(api: Api, user: User) -> None:
    await user.send_photo(b"\xff\xd8\xff broken")
    [update] = await api.updates()
    assert await download(api, update["message"]["photo"][0]["file_id"]) == b"\xff\xd8\xff broken"


async def test_a_document_keeps_its_bytes_name_and_type(api: Api, user: User) -> None:
    await user.send_document(b"DICM", "scan.dcm", "application/dicom")
    [update] = await api.updates()
    document = update["message"]["document"]
    assert (document["file_name"], document["mime_type"]) == ("scan.dcm", "application/dicom")
    assert await download(api, document["file_id"]) == b"DICM"


async def test_an_album_is_one_update_per_photo_under_one_group(api: Api, user: User) -> None:
    await user.send_album([Attachment(picture(300, 200), f"{n}") for n in range(3)])
    messages = [update["message"] for update in await api.updates()]
    assert [message["caption"] for message in messages] == ["0", "1", "2"]
    assert len({message["media_group_id"] for message in messages}) == 1


async def test_a_reply_and_a_correction_carry_what_they_refer_to(api: Api, user: User) -> None:
    card = await api("sendMessage", chat_id=501, text="card")
    reply = await user.send_text("my opinion", card["message_id"])
    await user.edit_text(reply.id, "my better opinion")
    sent, edited = await api.updates()
    assert sent["message"]["reply_to_message"]["text"] == "card"
    assert edited["edited_message"]["text"] == "my better opinion"
    assert edited["edited_message"]["message_id"] == reply.id


async def test_a_command_is_marked_as_one(api: Api, user: User) -> None:
    await user.send_text("/start abc")
    [update] = await api.updates()
    assert update["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]


async def test_a_file_over_20_megabytes_cannot_be_downloaded(api: Api, user: User) -> None:
    await user.send_document(bytes((20 << 20) + 1), "study.zip")
    [update] = await api.updates()
    file_id = update["message"]["document"]["file_id"]
    assert await api.refusal("getFile", file_id=file_id) == "Bad Request: file is too big"


async def test_a_download_link_lives_one_hour(api: Api, user: User, clock: Clock) -> None:
    await user.send_document(b"DICM", "scan.dcm")
    [update] = await api.updates()
    file = await api("getFile", file_id=update["message"]["document"]["file_id"])
    clock.now += timedelta(hours=1, seconds=1)
    url = f"{api.emulator.base_url}/file/bot{TOKEN}/{file['file_path']}"
    async with api.session.get(url) as response:
        assert response.status == 404


async def test_an_uploaded_photo_comes_back_by_its_file_id(api: Api, user: User) -> None:
    form = FormData({"chat_id": "501", "photo": "attach://montage", "caption": "montage"})
    form.add_field("montage", picture(900, 400), filename="m.png", content_type="image/png")
    url = f"{api.emulator.base_url}/bot{TOKEN}/sendPhoto"
    async with api.session.post(url, data=form) as response:
        sent = (await response.json())["result"]
    again = await api("sendPhoto", chat_id=501, photo=sent["photo"][-1]["file_id"])
    assert again["photo"] == sent["photo"]
    assert user.messages[-2].now.body["caption"] == "montage"
    logged = api.emulator.calls[-2].parameters["files"]["montage"]
    assert (logged["file_name"], logged["bytes"]) == ("m.png", len(picture(900, 400)))


async def test_a_pressed_button_carries_the_message_as_it_stands(api: Api, user: User) -> None:
    card = await api("sendMessage", chat_id=501, text="card", reply_markup=KEYBOARD)
    callback = await user.press(card["message_id"], text="Agree")
    [update] = await api.updates()
    query = update["callback_query"]
    assert (query["data"], query["from"]["id"]) == ("c:1:ok", 501)
    assert query["message"] == card
    await api("answerCallbackQuery", callback_query_id=query["id"], text="Noted", show_alert=True)
    assert callback.answer == {"text": "Noted", "show_alert": True}


async def test_a_button_that_is_not_there_cannot_be_pressed(api: Api, user: User) -> None:
    card = await api("sendMessage", chat_id=501, text="card", reply_markup=KEYBOARD)
    with pytest.raises(LookupError, match="no button"):
        await user.press(card["message_id"], text="Disagree")


async def test_a_press_is_answered_within_its_age_or_never(
    api: Api, user: User, clock: Clock
) -> None:
    card = await api("sendMessage", chat_id=501, text="card", reply_markup=KEYBOARD)
    callback = await user.press(card["message_id"], "c:1:ok")
    clock.now += timedelta(seconds=61)
    why = "query is too old and response timeout expired or query ID is invalid"
    for query_id in (callback.id, "1"):
        assert why in await api.refusal("answerCallbackQuery", callback_query_id=query_id)
