"""Pulls messages from a JetStream consumer by long-polling requests, until something is wrong."""

from asyncio import Queue, timeout
from collections.abc import AsyncGenerator

from msgspec import json
from nats.aio.client import Client
from nats.aio.msg import Msg

from adapters.storage.nats_connection import must_be_connected, reaching

EXPIRES_SECONDS = 20
HEARTBEAT_SECONDS = 1
SILENCE_SECONDS_MAX = 2.5
NANOSECONDS = 1_000_000_000
HEARTBEAT = "100"
REQUEST_OVER = frozenset({"404", "408"})


async def pull(client: Client, stream: str, consumer: str, batch: int) -> AsyncGenerator[Msg, None]:
    """Yields messages; ends when the consumer is gone or the server is silent, so make it anew.

    No more than `batch` messages wait here, and none is asked for before the last one was taken.
    """
    must_be_connected(client)
    arrived: Queue[Msg] = Queue()
    inbox = client.new_inbox()
    with reaching(client):
        subscription = await client.subscribe(inbox, cb=arrived.put)
    owed = 0
    try:
        while True:
            if not owed:
                await _request(client, stream, consumer, batch, inbox)
                owed = batch
            message = await _next(arrived)
            if message.reply:
                owed -= 1
                yield message
            elif _status(message) in REQUEST_OVER:
                owed = 0
            elif _status(message) != HEARTBEAT:
                return
    except TimeoutError:
        return
    finally:
        if not (client.is_closed or client.is_draining):
            await subscription.unsubscribe()


async def _request(client: Client, stream: str, consumer: str, batch: int, inbox: str) -> None:
    wish = {
        "batch": batch,
        "expires": EXPIRES_SECONDS * NANOSECONDS,
        "idle_heartbeat": HEARTBEAT_SECONDS * NANOSECONDS,
    }
    with reaching(client):
        await client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", json.encode(wish), reply=inbox
        )


async def _next(arrived: Queue[Msg]) -> Msg:
    """Raises TimeoutError when not even a heartbeat came."""
    if not arrived.empty():
        return arrived.get_nowait()
    async with timeout(SILENCE_SECONDS_MAX):
        return await arrived.get()


def _status(message: Msg) -> str:
    return (message.headers or {}).get("Status", "")
