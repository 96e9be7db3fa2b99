"""A provisioned NATS server, events to append, and a line that loses what the server answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client

from adapters.storage import nats_connection
from adapters.storage.nats_connection import connect
from adapters.storage.streams import provision
from commands.ports import Commit
from domain.events import NO_HASH, Recorded, Request
from domain.person import Consented
from tests.servers import NatsServer


def new_request() -> Request:
    return Request(
        id=uuid4(),
        actor="system",
        source="/ictus/test",
        time=datetime.now(UTC),
        correlation=uuid4(),
    )


def event(notice: str = "a") -> Consented:
    return Consented(notice=notice, language="en", text_sha256="0" * 64)


def commit_to(person: UUID, *notices: str, after: Recorded | None = None) -> Commit:
    """Events on top of `after`, told apart by their notices."""
    return Commit(
        aggregate="person",
        aggregate_id=person,
        events=tuple(event(notice) for notice in notices),
        expected=after.sequence if after else 0,
        prevhash=after.hash if after else NO_HASH,
    )


def notices(history: list[Recorded]) -> list[str]:
    return [recorded.event.notice for recorded in history]  # type: ignore[union-attr]


class LossyLine:
    """A TCP line to the server that breaks instead of bringing the next answer, once armed."""

    def __init__(self, server_url: str) -> None:
        self.armed = False
        self._server = urlsplit(server_url)
        self._pumps: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        return self._server._replace(
            netloc=f"{self._server.username}:{self._server.password}@127.0.0.1:{port}"
        ).geturl()

    async def close(self) -> None:
        self._listener.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(self._server.hostname, self._server.port)
        for source, sink, answers in ((reader, there[1], False), (there[0], writer, True)):
            pump = asyncio.create_task(self._pump(source, sink, writer, there[1], answers))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        one: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
        answers: bool,
    ) -> None:
        try:
            with suppress(OSError):
                while data := await source.read(65536):
                    if answers and self.armed:
                        self.armed = False
                        break
                    sink.write(data)
                    await sink.drain()
        finally:
            one.close()
            other.close()


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
