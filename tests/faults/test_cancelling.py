"""A cancelled request ends, whatever happens at the same moment."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from adapters.storage.nats_connection import connect
from tests.servers import NatsServer


@pytest.fixture
async def client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "cancelling") as client:
        yield client


async def test_a_request_cancelled_when_its_answer_comes_is_cancelled(client: Client) -> None:
    request = asyncio.create_task(client.request("$JS.API.INFO", timeout=5))
    while not (waiting := list(client._resp_map.values())):  # noqa: ASYNC110
        await asyncio.sleep(0)
    waiting[0].add_done_callback(lambda _: request.cancel())

    with pytest.raises(asyncio.CancelledError):
        await request

    assert waiting[0].done()
    assert not waiting[0].cancelled()
