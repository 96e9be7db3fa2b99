"""A TCP line to a server that can lose what the server answers."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


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
