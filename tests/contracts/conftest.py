"""Provisioned ledgers: in memory, on a server alone, on a cluster, behind a line that loses."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from adapters.storage import nats_connection
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryLedger
from adapters.storage.nats_connection import connect, patiently
from adapters.storage.streams import LEDGER, provision
from benchmarks.faulty.cluster import prepare_cluster
from commands.ports import Ledger
from tests.contracts.lossy import LossyLine
from tests.servers import NatsServer, cluster_of


@pytest.fixture
async def nats_client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "contracts") as client:
        await provision(client, "demo")
        yield client


@pytest.fixture(scope="session")
def nats_cluster(server_folder: Path) -> Iterator[list[NatsServer]]:
    """Three nodes shared by all tests: one that kills a node must restart it."""
    with cluster_of(prepare_cluster(server_folder / "cluster")) as nodes:
        yield nodes


@pytest.fixture
async def cluster_client(nats_cluster: list[NatsServer]) -> AsyncIterator[Client]:
    """A client of the first node; the ledger, on all three, is new."""
    async with await connect(nats_cluster[0].url, "contracts") as client:
        with suppress(NotFoundError):
            await client.jetstream().delete_stream(LEDGER)
        await patiently(lambda: provision(client, "demo", replicas=len(nats_cluster)))
        yield client


@pytest.fixture(params=["memory", "jetstream", "cluster"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return MemoryLedger()
    client = "nats_client" if request.param == "jetstream" else "cluster_client"
    return JetStreamLedger(request.getfixturevalue(client))


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
