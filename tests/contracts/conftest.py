"""A provisioned NATS server, and a line to it that loses what it answers."""

from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client

from adapters.storage import nats_connection
from adapters.storage.nats_connection import connect
from adapters.storage.streams import provision
from tests.contracts.lossy import LossyLine
from tests.servers import NatsServer


@pytest.fixture
async def nats_client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "contracts") as client:
        await provision(client, "demo")
        yield client


@pytest.fixture
async def lossy(
    nats_client: Client, fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[LossyLine, Client]]:
    """The line, and a client on it that does not wait long for a lost answer."""
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.5)
    line = LossyLine(fresh_nats.url)
    async with await connect(await line.open(), "lossy") as client:
        yield line, client
    await line.close()
