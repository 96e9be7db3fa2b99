"""Updates reach the bot in order, at least once, by polling or by webhook, for 24 hours."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web

from adapters.telegram.emulator import Emulator, User
from tests.adapters.telegram.botapi import Api, Clock


async def test_an_update_returns_until_its_offset_is_confirmed(api: Api, user: User) -> None:
    await user.send_text("one")
    await user.send_text("two")
    first, second = await api.updates()
    assert [first["message"]["text"], second["message"]["text"]] == ["one", "two"]
    assert await api.updates() == [first, second]
    assert await api.updates(second["update_id"]) == [second]
    assert await api.updates(second["update_id"] + 1) == []
    assert await api.updates() == []


async def test_limit_and_a_negative_offset_choose_among_updates(api: Api, user: User) -> None:
    for text in ("one", "two", "three"):
        await user.send_text(text)
    assert [one["message"]["text"] for one in await api.updates(limit=2)] == ["one", "two"]
    assert [one["message"]["text"] for one in await api.updates(-1)] == ["three"]
    assert len(await api.updates()) == 1


async def test_a_long_poll_wakes_when_something_happens(api: Api, user: User) -> None:
    poll = asyncio.create_task(api.updates(timeout=20))
    await api.emulator.until(lambda: bool(api.emulator.calls))  # it waits now
    assert not poll.done()
    await user.send_text("here")
    assert (await poll)[0]["message"]["text"] == "here"


async def test_a_second_poll_ends_the_first_with_a_conflict(api: Api, user: User) -> None:
    first = asyncio.create_task(api.refusal("getUpdates", timeout=20))
    await api.emulator.until(lambda: bool(api.emulator.calls))  # it waits now
    second = asyncio.create_task(api.updates(timeout=20))
    assert "terminated by other getUpdates request" in await first
    await user.send_text("for the second")
    assert len(await second) == 1


async def test_updates_are_forgotten_after_24_hours(api: Api, user: User, clock: Clock) -> None:
    await user.send_text("old")
    clock.now += timedelta(hours=23)
    await user.send_text("young")
    clock.now += timedelta(hours=2)
    assert [one["message"]["text"] for one in await api.updates()] == ["young"]


async def test_only_allowed_updates_are_queued_from_then_on(api: Api, user: User) -> None:
    await api.updates(allowed_updates=["callback_query"])
    await user.send_text("unwanted")
    assert await api.updates() == []
    await api.updates(allowed_updates=[])
    await user.send_text("wanted")
    assert len(await api.updates()) == 1


async def test_a_confirmed_update_can_be_delivered_again(
    emulator: Emulator, api: Api, user: User
) -> None:
    await user.send_text("twice")
    [update] = await api.updates()
    after = update["update_id"] + 1
    await api.updates(after)
    assert emulator.world.updates.repeat(update["update_id"])
    assert await api.updates(after) == [update]
    assert await api.updates(after) == []


@dataclass
class Receiver:
    """A webhook that answers with the given codes, then with 200."""

    codes: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    secrets: set[str | None] = field(default_factory=set)
    url: str = ""

    async def receive(self, request: web.Request) -> web.Response:
        self.secrets.add(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.texts.append((await request.json())["message"]["text"])
        return web.Response(status=self.codes.pop(0) if self.codes else 200)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    hook, app = Receiver(), web.Application()
    app.router.add_post("/hook", hook.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hook
    await runner.cleanup()


async def test_a_webhook_gets_updates_in_order_until_it_accepts_them(
    emulator: Emulator, api: Api, user: User, receiver: Receiver
) -> None:
    receiver.codes = [500, 302, 200]
    await user.send_text("one")
    await user.send_text("two")
    await api("setWebhook", url=receiver.url, secret_token="a-secret_1")
    await emulator.until(lambda: not emulator.world.updates.waiting())
    assert receiver.texts == ["one", "one", "one", "two"]
    assert receiver.secrets == {"a-secret_1"}
    info = await api("getWebhookInfo")
    assert (info["url"], info["pending_update_count"]) == (receiver.url, 0)
    assert "Wrong response from the webhook: 302" in info["last_error_message"]


async def test_polling_and_a_webhook_exclude_each_other(
    api: Api, user: User, receiver: Receiver
) -> None:
    poll = asyncio.create_task(api.refusal("getUpdates", timeout=20))
    await api.emulator.until(lambda: bool(api.emulator.calls))  # it waits now
    await api("setWebhook", url=receiver.url)
    assert await poll == "Conflict: terminated by setWebhook request"
    assert "can't use getUpdates method while webhook is active" in await api.refusal("getUpdates")
    await api("deleteWebhook")
    await user.send_text("polled again")
    assert len(await api.updates()) == 1
    assert receiver.texts == []


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"url": "ftp://example.org"}, "invalid webhook URL specified"),
        ({"url": "https://example.org", "secret_token": "a b"}, "unallowed characters"),
        ({"url": "https://example.org", "secret_token": "a" * 257}, "secret token is too long"),
    ],
)
async def test_a_bad_webhook_is_refused(api: Api, params: dict[str, str], why: str) -> None:
    assert why in await api.refusal("setWebhook", **params)
