"""The data path to NATS: a connection for what must be fast, beside the client's own.

nats-py keeps the control plane. What waits on a connection that is lost ends with Unavailable at
once, and the next use connects again: nothing is kept for later behind the caller's back.
"""

from asyncio import Lock, get_running_loop, timeout
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from urllib.parse import ParseResult
from weakref import WeakKeyDictionary, ref

from msgspec import json
from nats.aio.client import Client

from adapters.storage.nats_connection import TOO_MANY, Answer
from adapters.storage.wire_protocol import Frame, status
from adapters.storage.wire_session import Session
from commands.ports import Unavailable

CONNECT_SECONDS_MAX = 2.0
NATS_PORT = 4222
NO_RESPONDERS = b"503"

Servers = Callable[[], Sequence[ParseResult]]
Login = Callable[[ParseResult, str], Mapping[str, str]]
"""The fields of CONNECT that prove to a server who we are, given its nonce."""


class Wire:
    """Connects when it is used, and again after a loss, to the first of `servers` that answers."""

    def __init__(self, servers: Servers, login: Login, inbox: str) -> None:
        """Answers come to subjects below `inbox`, which must be nobody else's."""
        self._servers, self._login, self._inbox = servers, login, inbox
        self._numbers = count()
        self._session: Session | None = None
        self._connecting = Lock()
        self.is_closed = False

    async def session(self) -> Session:
        """An open one. Raises Unavailable."""
        if self._session and self._session.is_open:
            return self._session
        async with self._connecting:
            if not (self._session and self._session.is_open):
                self._session = await self._connected()
            return self._session

    async def publish(self, subject: str, payload: bytes, headers: bytes = b"") -> Answer:
        """Stores a message. The answer may be a refusal; none at all (Unavailable) is ambiguous."""
        return answer_in(await (await self.session()).request(subject, payload, headers))

    async def close(self) -> None:
        self.is_closed = True
        if self._session:
            await self._session.close()

    async def _connected(self) -> Session:
        error: Exception | None = None
        for server in [] if self.is_closed else self._servers():
            try:
                async with timeout(CONNECT_SECONDS_MAX):
                    return await self._open(server)
            except (OSError, Unavailable) as failure:
                error = failure
        raise Unavailable(f"NATS does not answer: {error or 'closed'}") from error

    async def _open(self, server: ParseResult) -> Session:
        _, session = await get_running_loop().create_connection(
            partial(Session, f"{self._inbox}.{next(self._numbers)}"),
            server.hostname or "",
            server.port or NATS_PORT,
        )
        try:
            info = await session.greeting
            if info.tls_required:
                raise Unavailable("it asks for TLS, which the data path does not speak")
            await session.enter(self._login(server, info.nonce))
        except BaseException:
            await session.close()
            raise
        return session


def answer_in(frame: Frame) -> Answer:
    """Raises Unavailable when JetStream is not there or could not decide."""
    if status(frame[2]) == NO_RESPONDERS:
        raise Unavailable("JetStream is away")
    answer = json.decode(frame[3], type=Answer)
    if answer.error and (answer.error.code >= 500 or answer.error.code == TOO_MANY):
        raise Unavailable(f"JetStream: {answer.error.description}")
    return answer


def password_login(server: ParseResult, nonce: str) -> Mapping[str, str]:
    """What the address says: a user with a password, or a lone token."""
    if server.username and server.password:
        return {"user": server.username, "pass": server.password}
    return {"auth_token": server.username} if server.username else {}


def wire_beside(client: Client) -> Wire:
    """The one wire of `client`: same servers, same login, closed when it is closed."""
    if client not in _wires:
        known = ref(client)
        wire = Wire(partial(_servers, known), partial(_login, known), client.new_inbox())
        _wires[client] = wire
        _close_with(client, wire)
    return _wires[client]


def _servers(known: "ref[Client]") -> Sequence[ParseResult]:
    """The one it is connected to first. None when it is closed."""
    client = known()
    if client is None or client.is_closed:
        return []
    current = client.connected_url
    return [*([current] if current else []), *client.servers]


def _login(known: "ref[Client]", server: ParseResult, nonce: str) -> Mapping[str, str]:
    client = known()
    if client and client._signature_cb:
        proof = {"sig": client._signature_cb(nonce).decode()}
        if client._user_jwt_cb:
            return proof | {"jwt": bytes(client._user_jwt_cb()).decode()}
        return proof | {"nkey": client._public_nkey or ""}
    return password_login(server, nonce)


def _close_with(client: Client, wire: Wire) -> None:
    """nats-py tells one callback that it is closed; whoever was told before still is."""
    before = client._closed_cb

    async def closed() -> None:
        await wire.close()
        if before:
            await before()

    client._closed_cb = closed


_wires: WeakKeyDictionary[Client, Wire] = WeakKeyDictionary()
