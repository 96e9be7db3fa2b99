"""A TCP proxy between NATS clients and servers that loses, holds back, doubles and cuts messages.

It acts on whole protocol messages: publishes to the ledger, their acknowledgements, and the other
answers to a client's inboxes. Order within a connection is kept, as TCP keeps it. In front of a
cluster each new connection goes to any node that takes it.
"""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from urllib.parse import urlsplit

from benchmarks.faulty.fates import Kind, Schedule
from benchmarks.faulty.frames import Frame, frames
from domain.identity import SUBJECT_ROOT
from ictus.kept import HOST

INBOX_ROOT = "_INBOX."
PAUSE_SECONDS = 0.05


class FaultProxy:
    """`open` gives the address for clients; `counts` tells what was done, such as `drop ack`.

    While `calm` everything passes.
    """

    def __init__(self, servers: Sequence[str], schedule: Schedule, seed: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.calm = False
        self._servers = [urlsplit(server) for server in servers]
        self._schedule = schedule
        self._random = Random(seed)
        self._lines: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        self._listener = await asyncio.start_server(self._accept, HOST, 0)
        port = self._listener.sockets[0].getsockname()[1]
        user = self._servers[0].netloc.rpartition("@")[0]
        return f"nats://{user}@{HOST}:{port}" if user else f"nats://{HOST}:{port}"

    async def close(self) -> None:
        self._listener.close()
        for line in list(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        line = asyncio.create_task(self._carry(reader, writer))
        self._lines.add(line)
        line.add_done_callback(self._lines.discard)
        line.add_done_callback(lambda _: writer.transport.abort())

    async def _carry(self, reader: StreamReader, writer: StreamWriter) -> None:
        """A client that comes while no server is up waits until one is."""
        while not reader.at_eof():
            if there := await self._connected():
                return await Line(self, self._schedule, (reader, writer), there).carry()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _connected(self) -> tuple[StreamReader, StreamWriter] | None:
        for server in self._random.sample(self._servers, len(self._servers)):
            with suppress(OSError):
                return await asyncio.open_connection(server.hostname, server.port)
        return None


class Line:
    """One client's connection through the proxy."""

    def __init__(
        self,
        proxy: FaultProxy,
        schedule: Schedule,
        here: tuple[StreamReader, StreamWriter],
        there: tuple[StreamReader, StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._schedule = schedule
        self._from_client, self._to_client = here
        self._from_server, self._to_server = there
        self._awaited: dict[str, str] = {}

    async def carry(self) -> None:
        """Until one side ends or the line is cut."""
        ways = [
            asyncio.create_task(self._pump(self._from_client, self._to_server)),
            asyncio.create_task(self._pump(self._from_server, self._to_client)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._to_server.transport.abort()
            self._to_client.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: StreamReader, sink: StreamWriter) -> None:
        with suppress(OSError):
            async for frame in frames(source):
                if not await self._pass_on(frame, sink):
                    return
                await sink.drain()

    async def _pass_on(self, frame: Frame, sink: StreamWriter) -> bool:
        """False when the line is to be cut: half of the message went through."""
        kind, key = self._classified(frame)
        fate = self._schedule.fate(kind, key) if kind and not self._proxy.calm else None
        if fate is None or fate.fault is None:
            sink.write(frame.raw)
            return True
        self._proxy.counts[f"{fate.fault} {kind}"] += 1
        match fate.fault:
            case "drop":
                pass
            case "delay":
                await asyncio.sleep(fate.delay_s)
                sink.write(frame.raw)
            case "duplicate":
                sink.write(frame.raw * 2)
            case "cut":
                sink.write(frame.raw[: len(frame.raw) // 2])
        return fate.fault != "cut"

    def _classified(self, frame: Frame) -> tuple[Kind | None, str]:
        """What the message is and the key of its fate: an event's id, as far as one is known."""
        if frame.verb in (b"PUB", b"HPUB") and frame.subject.startswith(f"{SUBJECT_ROOT}."):
            if frame.reply:
                self._awaited[frame.reply] = frame.message_id
            return "publish", frame.message_id
        if frame.verb in (b"MSG", b"HMSG") and frame.subject.startswith(INBOX_ROOT):
            awaited = self._awaited.pop(frame.subject, None)
            return ("answer", "") if awaited is None else ("ack", awaited)
        return None, ""
