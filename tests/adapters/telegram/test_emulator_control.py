"""The emulator runs as a program and is driven over HTTP."""

import asyncio
import base64
import json
import signal
import sys
from typing import Any

import pytest
from aiohttp import ClientSession

from adapters.telegram.emulator import User
from tests.adapters.telegram.botapi import KEYBOARD, TOKEN, Api, picture


async def test_the_control_routes_play_a_whole_case(api: Api) -> None:
    base = f"{api.emulator.base_url}/emulator"

    async def ask(verb: str, path: str, body: Any = None) -> Any:
        async with api.session.request(verb, f"{base}{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    person = {"id": 700, "first_name": "Demo Clinician 7", "language_code": "en"}
    await ask("POST", "/users", person)
    await ask("POST", "/users/700/text", {"text": "/start"})
    shot = base64.b64encode(picture(400, 300)).decode()
    await ask("POST", "/users/700/album", {"items": [{"content": shot}, {"content": shot}]})
    document = {"content": shot, "file_name": "a.png", "mime_type": "image/png", "caption": "axial"}
    sent = await ask("POST", "/users/700/document", document)
    assert (sent["text"], sent["media"]["file_name"]) == ("axial", "a.png")
    async with api.session.get(sent["media"]["url"]) as response:
        assert await response.read() == picture(400, 300)
    assert (await ask("GET", "/updates"))["pending"] == 4

    chat = await ask("GET", "/chats/700")
    waiting = asyncio.create_task(ask("GET", f"/chats/700?since={chat['version']}&wait_seconds=10"))
    html = "<b>7 of 10</b> &lt; <i>all</i>"
    card = await api(
        "sendMessage", chat_id=700, text=html, parse_mode="HTML", reply_markup=KEYBOARD
    )
    shown = (await waiting)["messages"][-1]
    assert (shown["from"], shown["text"], shown["html"]) == ("bot", "7 of 10 < all", html)
    assert shown["buttons"] == KEYBOARD["inline_keyboard"]
    pressed = await ask(
        "POST", "/users/700/press", {"message_id": card["message_id"], "text": "Agree"}
    )
    await api("answerCallbackQuery", callback_query_id=pressed["callback_query_id"], text="ok")
    chat = await ask("GET", "/chats/700")
    assert [one["answer"]["text"] for one in chat["callbacks"]] == ["ok"]

    await ask("POST", "/faults", {"kind": "flood", "methods": ["sendPhoto"], "times": 2})
    assert (await ask("GET", "/faults"))[0]["times"] == 2
    assert await ask("DELETE", "/faults") == []
    calls = await ask("GET", "/calls?method=sendMessage")
    assert [(call["outcome"], call["message_ids"]) for call in calls] == [
        ("ok", [card["message_id"]])
    ]
    updates = await api.updates()
    await api.updates(updates[-1]["update_id"] + 1)
    again = await ask("POST", f"/updates/{updates[0]['update_id']}/repeat")
    assert again["pending_ids"] == [updates[0]["update_id"]]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users/1/text", {"text": "x"}, 404),
        ("/users/501/text", {}, 404),
        ("/users/501/photo", {"content": "not base64!"}, 400),
        ("/users/501/album", {"items": []}, 400),
        ("/faults", {"kind": "earthquake"}, 400),
        ("/updates/12/repeat", None, 404),
    ],
)
async def test_a_wrong_control_request_is_told_so(
    api: Api, user: User, path: str, body: Any, status: int
) -> None:
    async with api.session.post(f"{api.emulator.base_url}/emulator{path}", json=body) as response:
        assert response.status == status
        assert "error" in await response.json()


async def test_the_program_says_when_it_listens_and_stops_on_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adapters.telegram.emulator", "--token", TOKEN, "--seed", "3"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    assert ready["ready"] is True
    async with ClientSession() as session:
        url = f"http://127.0.0.1:{ready['port']}/bot{TOKEN}/getMe"
        async with session.get(url) as response:
            assert (await response.json())["ok"]
        poll = asyncio.create_task(session.get(url.replace("getMe", "getUpdates?timeout=50")))
        calls: list[Any] = []
        while not calls:
            async with session.get(f"{ready['base_url']}/emulator/calls?method=getUpdates") as log:
                calls = await log.json()
        process.send_signal(signal.SIGTERM)
        rest, errors = await process.communicate()
        (await poll).close()
    assert (process.returncode, rest) == (0, b"")
    assert len(errors.splitlines()) <= 1
