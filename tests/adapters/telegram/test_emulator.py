"""The emulated Bot API answers, fails and stops as it is told."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from adapters.telegram.emulator import Emulator, Fault, User
from tests.adapters.telegram.botapi import TOKEN, Api


async def test_a_wrong_token_is_unauthorized(emulator: Emulator, api: Api) -> None:
    async with api.session.get(f"{emulator.base_url}/bot7000000001:other/getMe") as response:
        assert response.status == 401
        assert await response.json() == {
            "ok": False,
            "error_code": 401,
            "description": "Unauthorized",
        }


async def test_an_unknown_method_is_not_found(api: Api) -> None:
    assert await api.refusal("sendTelegram") == "Not Found: method not found"


async def test_the_bot_introduces_itself_by_get_and_in_any_case(
    emulator: Emulator, api: Api
) -> None:
    async with api.session.get(f"{emulator.base_url}/bot{TOKEN}/getme") as response:
        me = (await response.json())["result"]
    assert (me["id"], me["is_bot"]) == (7000000001, True)


async def test_small_methods_do_what_they_say(api: Api, user: User) -> None:
    await api("sendChatAction", chat_id=501, action="upload_photo")
    assert "wrong parameter action" in await api.refusal(
        "sendChatAction", chat_id=501, action="dance"
    )
    commands = [{"command": "cases", "description": "My cases"}]
    await api("setMyCommands", commands=commands)
    assert await api("getMyCommands") == commands
    bad = [{"command": "Cases!", "description": "x"}]
    assert "BOT_COMMAND_INVALID" in await api.refusal("setMyCommands", commands=bad)
    assert (await api("getChat", chat_id=501))["first_name"] == "Demo Clinician 1"


async def test_a_flood_tells_when_to_come_back_and_takes_no_effect(
    emulator: Emulator, api: Api, user: User
) -> None:
    emulator.faults.set([Fault("flood", frozenset({"sendMessage"}), times=1, retry_after=7)])
    answer = await api.answer("sendMessage", chat_id=501, text="x")
    assert (answer["error_code"], answer["parameters"]) == (429, {"retry_after": 7})
    assert len(user.messages) == 1
    await api("sendMessage", chat_id=501, text="x")
    assert [(call.outcome, call.fault) for call in emulator.calls] == [
        ("flood", "flood"),
        ("ok", None),
    ]


async def test_a_server_error_takes_no_effect(emulator: Emulator, api: Api, user: User) -> None:
    emulator.faults.set([Fault("server_error", chat_id=501, times=1, status=500)])
    assert (await api.answer("getMe"))["ok"]
    assert await api.refusal("sendMessage", chat_id=501, text="x") == "Internal Server Error"
    assert len(user.messages) == 1


@pytest.mark.parametrize(
    ("kind", "messages"),
    [("timeout_before", 1), ("timeout_after", 2), ("reset_before", 1), ("reset_after", 2)],
)
async def test_a_lost_connection_leaves_the_effect_it_says(
    emulator: Emulator, api: Api, user: User, kind: Any, messages: int
) -> None:
    emulator.faults.set([Fault(kind, times=1, hold_seconds=0.01)])
    with pytest.raises(ClientError):
        await api("sendMessage", chat_id=501, text="x")
    assert len(user.messages) == messages
    assert emulator.calls[-1].fault == kind


async def test_the_same_seed_strikes_the_same_calls() -> None:
    async def strikes(seed: int) -> list[bool]:
        async with Emulator(TOKEN, seed=seed) as emulator, ClientSession() as session:
            emulator.faults.set([Fault("server_error", probability=0.5)])
            api = Api(emulator, session)
            return [(await api.answer("getMe"))["ok"] for _ in range(40)]

    first = await strikes(3)
    assert first == await strikes(3)
    assert first != await strikes(4)
    assert 5 < sum(first) < 35


async def test_a_held_connection_does_not_hold_up_the_end(user: User, api: Api) -> None:
    api.emulator.faults.set([Fault("timeout_before", hold_seconds=3600)])
    call = asyncio.create_task(api("getMe"))
    await api.emulator.until(lambda: bool(api.emulator.calls))
    await api.emulator.__aexit__(None, None, None)
    with pytest.raises(ClientError):
        await call
