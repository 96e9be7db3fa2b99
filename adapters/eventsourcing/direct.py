"""Direct gets: many messages of a stream for one request, without a consumer."""

from asyncio import Event as Signal, timeout
from collections.abc import Mapping
from typing import Any

from msgspec import json
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.storage.nats_connection import ANSWER_SECONDS_MAX, ask, must_be_connected, reaching
from commands.ports import Unavailable

END_OF_BATCH, NOT_FOUND = "204", "404"


async def get_one(client: Client, stream: str, wish: Mapping[str, Any]) -> Msg | None:
    """The message, or None when there is none. Raises Unavailable."""
    message = await ask(client, _subject(stream), json.encode(wish))
    match header(message, "Status"):
        case "":
            return message
        case status if status == NOT_FOUND:
            return None
        case status:
            raise Unavailable(f"JetStream: {status} {header(message, 'Description')}")


async def get_many(client: Client, stream: str, wish: Mapping[str, Any]) -> tuple[list[Msg], bool]:
    """Messages in the order of the stream, and whether more match. Raises Unavailable."""
    arrived: list[Msg] = []
    complete = Signal()

    async def arrive(message: Msg) -> None:
        arrived.append(message)
        if header(message, "Status"):
            complete.set()

    must_be_connected(client)
    inbox = client.new_inbox()
    with reaching(client):
        subscription = await client.subscribe(inbox, cb=arrive)
        try:
            await client.publish(_subject(stream), json.encode(wish), reply=inbox)
            async with timeout(ANSWER_SECONDS_MAX):
                await complete.wait()
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()
    return _whole(arrived)


def header(message: Msg, name: str) -> str:
    return (message.headers or {}).get(name, "")


def _whole(arrived: list[Msg]) -> tuple[list[Msg], bool]:
    *messages, end = arrived
    status = header(end, "Status")
    if status == NOT_FOUND:
        return [], False
    last = header(messages[-1], "Nats-Sequence") if messages else ""
    if status != END_OF_BATCH or header(end, "Nats-Last-Sequence") != last:
        raise Unavailable(f"the answer broke off: {status} {header(end, 'Description')}")
    return messages, header(end, "Nats-Num-Pending") != "0"


def _subject(stream: str) -> str:
    return f"$JS.API.DIRECT.GET.{stream}"
