"""A server whose clock is not ours: events would be told at the wrong time, so boot refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from urllib.request import urlopen

import pytest

from adapters.storage.nats_connection import connect
from adapters.storage.streams import Unfit, check_durability
from tests.servers import NatsServer

Monitor = Callable[[timedelta], Awaitable[str]]


@pytest.fixture
async def monitor(fresh_nats: NatsServer) -> AsyncIterator[Monitor]:
    """The real server's monitor, but its clock goes wrong by so much."""
    async with AsyncExitStack() as stack:

        async def opened(skew: timedelta) -> str:
            def varz() -> bytes:
                with urlopen(f"{fresh_nats.monitor_url}/varz") as answer:
                    real = json.load(answer)
                now = datetime.fromisoformat(real["now"]) + skew
                return json.dumps(real | {"now": now.isoformat()}).encode()

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                body = await asyncio.to_thread(varz)
                writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            stack.callback(server.close)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        yield opened


@pytest.mark.parametrize("seconds", [-60, 60])
async def test_a_clock_that_differs_by_a_minute_is_refused(
    monitor: Monitor, fresh_nats: NatsServer, seconds: int
) -> None:
    url = await monitor(timedelta(seconds=seconds))
    async with await connect(fresh_nats.url, "boot") as client:
        with pytest.raises(Unfit, match=r"clocks .* differ by (59|60|61) s, at most 5 s"):
            await check_durability(client, url)

        await check_durability(client, url, unsafe_durability=True)


async def test_a_clock_that_differs_a_little_is_taken(
    monitor: Monitor, fresh_nats: NatsServer
) -> None:
    async with await connect(fresh_nats.url, "boot") as client:
        await check_durability(client, await monitor(timedelta(seconds=2)))
