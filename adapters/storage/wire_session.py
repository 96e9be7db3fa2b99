"""One TCP connection to a NATS server: requests, subscriptions and what ends them."""

import asyncio
from asyncio import Future, TimerHandle, Transport, get_running_loop, timeout
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any, Generic, TypeVar, cast

from msgspec import Struct, json

from adapters.storage import nats_connection
from adapters.storage.wire_protocol import (
    Frame,
    Parser,
    ProtocolError,
    Sink,
    frame,
    publishing,
    status,
    subscribing,
    unsubscribing,
)
from commands.ports import Unavailable

PING_SECONDS = 5.0
PINGS_UNANSWERED_MAX = 2
REPLIES_SID = b"1"

Cut = TypeVar("Cut")


class Info(Struct, frozen=True):
    """What a server says about itself first."""

    max_payload: int
    cluster: str = ""
    nonce: str = ""
    tls_required: bool = False


class Inbox(Generic[Cut]):
    """The messages of one subscription, in order; holds no more than its reader asked for."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.arrived: list[Cut] = []
        self._waiting: Future[None] | None = None
        self._lost = False

    async def take(self, seconds_max: float) -> list[Cut]:
        """All that arrived, at least one. Raises TimeoutError, Unavailable."""
        if not self.arrived:
            if self._lost:
                raise Unavailable("the connection to NATS was lost")
            self._waiting = get_running_loop().create_future()
            async with timeout(seconds_max):
                await self._waiting
        taken = self.arrived.copy()
        self.arrived.clear()
        if not taken:
            raise Unavailable("the connection to NATS was lost")
        return taken

    def wake(self) -> None:
        if (self.arrived or self._lost) and self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def lose(self) -> None:
        self._lost = True
        self.wake()


class Call(Struct, eq=False):
    """A request and the messages that answer it: one, or as many as come before a status."""

    subject: str
    done: Future[list[Frame]]
    several: bool
    frames: list[Frame]


class Session(asyncio.Protocol):
    """One TCP connection, from the server's INFO until it is lost."""

    def __init__(self, inbox: str) -> None:
        loop = get_running_loop()
        self.greeting: Future[Info] = loop.create_future()
        self.ready: Future[None] = loop.create_future()
        self.closed: Future[None] = loop.create_future()
        self._error = ""
        self._parser = Parser(self._control)
        self._parser.sinks[REPLIES_SID] = self._answered
        self._replies = f"{inbox}."
        self._numbers = count(2)
        self._calls: dict[bytes, Call] = {}
        self._inboxes: dict[bytes, Inbox[Any]] = {}
        self._unsent: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._pings = 0
        self._timer: TimerHandle | None = None

    # As asyncio sees it

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(Transport, transport)
        self._timer = get_running_loop().call_later(PING_SECONDS, self._ping)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except (ProtocolError, ValueError) as error:
            self._error = str(error)
            self._transport.abort()
        for inbox in self._inboxes.values():
            inbox.wake()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
        lost = Unavailable(f"NATS does not answer: {self._error or error or 'connection closed'}")
        _fail(self.greeting, lost)
        _fail(self.ready, lost)
        for call in self._calls.values():
            _fail(call.done, lost)
        for inbox in self._inboxes.values():
            inbox.lose()
        self._writable.set()
        if not self.closed.done():
            self.closed.set_result(None)

    # Speaking

    @property
    def is_open(self) -> bool:
        return not self.closed.done() and not self._transport.is_closing()

    @property
    def clustered(self) -> bool:
        """Whether the server is a node of a cluster."""
        return bool(self.greeting.result().cluster)

    async def enter(self, proof: Mapping[str, str]) -> None:
        """Raises Unavailable with the server's own words when it does not let us in."""
        words = {
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
            "name": "ictus-data",
        }
        hello = b"CONNECT %b\r\n" % json.encode(words | dict(proof))
        self.write(hello + subscribing(f"{self._replies}*", REPLIES_SID) + b"PING\r\n")
        await self.ready

    def write(self, data: bytes) -> None:
        """What is written in one turn of the event loop goes out together."""
        if not self._unsent:
            get_running_loop().call_soon(self._send)
        self._unsent.append(data)

    def _send(self) -> None:
        if self._unsent and self.is_open:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    async def drained(self) -> None:
        """Returns when the server keeps up with what was written."""
        self._send()
        await self._writable.wait()

    async def request(self, subject: str, payload: bytes, headers: bytes = b"") -> Frame:
        (frame,) = await self._call(subject, payload, headers, several=False)
        return frame

    async def request_many(self, subject: str, payload: bytes) -> list[Frame]:
        """All answers up to the one that carries a status, which is the last."""
        return await self._call(subject, payload, b"", several=True)

    async def _call(
        self, subject: str, payload: bytes, headers: bytes, *, several: bool
    ) -> list[Frame]:
        if not self.is_open:
            raise Unavailable("NATS is away")
        number = b"%d" % next(self._numbers)
        call = Call(subject, get_running_loop().create_future(), several, [])
        self._calls[number] = call
        self.write(publishing(subject, payload, headers, f"{self._replies}{number.decode()}"))
        try:
            async with timeout(nats_connection.ANSWER_SECONDS_MAX):
                return await call.done
        except TimeoutError as error:
            raise Unavailable("NATS does not answer in time") from error
        finally:
            del self._calls[number]

    @contextmanager
    def inbox(self, cutting: Callable[[list[Cut]], Sink]) -> Iterator[Inbox[Cut]]:
        """A subject of its own that answers may be sent to; the sink that `cutting` makes puts what
        the reader needs of each into the given list."""
        number = next(self._numbers)
        sid, inbox = b"%d" % number, Inbox[Cut](f"{self._replies}{number}.in")
        self._parser.sinks[sid] = cutting(inbox.arrived)
        self._inboxes[sid] = inbox
        self.write(subscribing(inbox.subject, sid))
        try:
            yield inbox
        finally:
            self.write(unsubscribing(sid))
            del self._parser.sinks[sid], self._inboxes[sid]

    async def close(self) -> None:
        self._send()
        self._transport.close()
        await self.closed

    # Listening

    def _answered(
        self, words: list[bytes], data: bytes, begin: int, middle: int, stop: int
    ) -> None:
        call = self._calls.get(words[1][len(self._replies) :])
        if call and not call.done.done():
            answer = frame(words, data, begin, middle, stop)
            call.frames.append(answer)
            if not call.several or status(answer[2]):
                call.done.set_result(call.frames)

    def _control(self, line: bytes) -> None:
        match line.split(b" ", 1):
            case [b"PING"]:
                self.write(b"PONG\r\n")
            case [b"PONG"]:
                self._pings = 0
                if not self.ready.done():
                    self.ready.set_result(None)
            case [b"INFO", text]:
                if not self.greeting.done():
                    self.greeting.set_result(json.decode(text, type=Info))
            case [b"-ERR", text]:
                self._complain(text.decode(errors="replace").strip("' "))
            case [b"+OK"]:
                pass
            case _:
                raise ProtocolError("no word of NATS")

    def _complain(self, text: str) -> None:
        """A forbidden publish is not answered, only complained about."""
        self._error = text
        for call in self._calls.values():
            if f'publish to "{call.subject}"'.lower() in text.lower():
                _fail(call.done, nats_connection.forbidden(call.subject))

    def _ping(self) -> None:
        if self._pings >= PINGS_UNANSWERED_MAX:
            self._error = "the server went silent"
            self._transport.abort()
            return
        self._pings += 1
        self.write(b"PING\r\n")
        self._timer = get_running_loop().call_later(PING_SECONDS, self._ping)


def _fail(waiting: Future[Any], error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)
        waiting.exception()  # told: asyncio need not warn when nobody asks
