"""The inbox: every Telegram update is in JetStream before Telegram hears that it arrived.

Long polling moves its offset only after the acknowledgement of the stream; the webhook answers 200
only then. A crash at any moment makes Telegram send the update again, and its message id drops the
repetition.
"""

import asyncio
import hmac
import logging
from typing import Any

import msgspec
from aiohttp import web

from adapters.telegram.api import ApiError, BotApi, Rejected, TooMany
from commands.ports import Queue, Unavailable

ROLE = "inbox"
SUBJECT_ROOT = "ictus.in.telegram"
UPDATES = ("message", "callback_query")
POLL_SECONDS = 25
UPDATE_BYTES_MAX = 256 * 1024
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"

log = logging.getLogger("ictus.inbox")


async def poll(api: BotApi, queue: Queue) -> None:
    """Long polling, for ever."""
    await _until_answered(api, "deleteWebhook", {})
    offset = 0
    while True:
        parameters = {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": UPDATES}
        try:
            updates = await api.call("getUpdates", parameters, wait_s=POLL_SECONDS)
            for update in updates:
                await keep(queue, api.bot_id, update)
                offset = update["update_id"] + 1
        except Unavailable as away:
            await _pause("the stream is away", str(away), 1.0)
        except TooMany as many:
            await _pause("too many requests", str(many), many.retry_after_s)
        except ApiError as error:
            await _pause("Telegram does not answer", str(error), 1.0)


async def receive(api: BotApi, queue: Queue, url: str, secret: str, host: str, port: int) -> None:
    """Webhook, for ever: registers `url` with its secret token and serves it on host:port."""

    async def handle(request: web.Request) -> web.Response:
        if not _is_same(request.headers.get(SECRET_HEADER, ""), secret):
            return web.Response(status=401)
        try:
            update = msgspec.json.decode(await request.read(), type=dict[str, Any])
            await keep(queue, api.bot_id, update)
        except (msgspec.MsgspecError, LookupError):
            return web.Response(status=400)
        except Unavailable:
            return web.Response(status=503)
        return web.Response()

    app = web.Application(client_max_size=UPDATE_BYTES_MAX)
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        wanted = {"url": url, "secret_token": secret, "allowed_updates": UPDATES}
        await _until_answered(api, "setWebhook", wanted)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def keep(queue: Queue, bot_id: int, update: dict[str, Any]) -> None:
    """Stores one raw update, once. Raises Unavailable."""
    subject = f"{SUBJECT_ROOT}.{bot_id}.{chat_of(update)}"
    message_id = f"tg:{bot_id}:{update['update_id']}"
    await queue.publish(subject, msgspec.json.encode(update), message_id=message_id)


def chat_of(update: dict[str, Any]) -> int:
    """The chat an update belongs to, 0 if to none."""
    message = update.get("message") or update.get("callback_query", {}).get("message") or {}
    chat = message.get("chat", {}).get("id", 0)
    return int(chat)


def _is_same(given: str, secret: str) -> bool:
    """Takes as long for any wrong secret; bytes, since a header may hold anything."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())


async def _until_answered(api: BotApi, method: str, parameters: dict[str, Any]) -> None:
    while True:
        try:
            await api.call(method, parameters)
        except Rejected:
            raise
        except ApiError as error:
            await _pause("Telegram does not answer", str(error), 1.0)
        else:
            return


async def _pause(what: str, cause: str, seconds: float) -> None:
    log.warning(what, extra={"cause": cause[:200]})
    await asyncio.sleep(seconds)
