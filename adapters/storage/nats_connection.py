"""The connection to NATS: it reconnects for ever, and its errors become Unavailable in one place."""

from asyncio import get_running_loop, sleep, timeout
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import TypeVar

from msgspec import Struct, json
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, NotFoundError

from commands.ports import Unavailable

CONNECT_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 2.0
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.2
TOO_MANY = 429

log = getLogger(__name__)
T = TypeVar("T")


class Refusal(Struct, frozen=True):
    """Why JetStream did not do it; `err_code` is its own, more exact number."""

    code: int
    err_code: int = 0
    description: str = ""


class Answer(Struct, frozen=True):
    """What JetStream says to a publish: the message's stream sequence, or an error."""

    seq: int = 0
    duplicate: bool = False
    error: Refusal | None = None

    @property
    def err_code(self) -> int:
        return self.error.err_code if self.error else 0


class Connection(Client):
    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """While the server is away there is nobody to send the rest to: nats-py would fail on it,
        and leave its tasks and its socket behind."""
        if not self.is_connected:
            self._pending.clear()
            self._pending_data_size = 0
        with suppress(OSError):
            await super()._close(status, do_cbs)


async def connect(url: str, name: str) -> Client:
    """A client to be used as `async with`; raises Unavailable when nothing answers at `url`."""
    client = Connection()

    async def on_disconnect() -> None:
        if not client.is_closed:
            log.warning("nats: disconnected")

    try:
        async with timeout(CONNECT_SECONDS_MAX):
            await client.connect(
                url,
                name=name,
                connect_timeout=2,
                reconnect_time_wait=0.25,  # type: ignore[arg-type]  # seconds, slept as they are
                max_reconnect_attempts=-1,
                ping_interval=5,
                max_outstanding_pings=2,
                error_cb=_on_error,
                disconnected_cb=on_disconnect,
                reconnected_cb=_on_reconnect,
            )
    except (Error, OSError) as error:
        await client.close()
        raise Unavailable(f"NATS does not answer: {client.last_error or error}") from error
    return client


@contextmanager
def reaching(client: Client, subject: str = "") -> Iterator[None]:
    """Turns "the server is away" into Unavailable and a forbidden publish into PermissionError."""
    try:
        yield
    except (BadRequestError, NotFoundError):
        raise
    except (Error, OSError) as error:
        if _is_forbidden(client, subject):
            root = ".".join(subject.split(".")[:2])
            raise PermissionError(f"This NATS user may not publish to `{root}.>`") from error
        raise Unavailable(f"NATS does not answer: {type(error).__name__}") from error


def must_be_connected(client: Client) -> None:
    """Nothing that is asked again later may wait in the client's buffer for the server to return."""
    if not client.is_connected:
        raise Unavailable("NATS is away")


def jetstream(client: Client) -> JetStreamContext:
    """The control plane, which waits no longer for an answer than the rest."""
    return client.jetstream(timeout=ANSWER_SECONDS_MAX)


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeats what is safe to repeat while NATS is away, for PATIENCE_SECONDS at most."""
    clock = get_running_loop().time
    give_up = clock() + PATIENCE_SECONDS
    while True:
        try:
            return await attempt()
        except Unavailable:
            if clock() >= give_up:
                raise
            await sleep(PAUSE_SECONDS)


async def ask(
    client: Client, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
) -> Msg:
    """One request and its answer; raises Unavailable after ANSWER_SECONDS_MAX."""
    must_be_connected(client)
    with reaching(client, subject):
        return await client.request(
            subject,
            payload,
            timeout=ANSWER_SECONDS_MAX,
            headers=dict(headers) if headers else None,
        )


async def publish(
    client: Client, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
) -> Answer:
    """Stores a message. The answer may be a refusal; no answer at all (Unavailable) is ambiguous."""
    message = await ask(client, subject, payload, headers)
    answer = json.decode(message.data, type=Answer)
    if answer.error and (answer.error.code >= 500 or answer.error.code == TOO_MANY):
        raise Unavailable(f"JetStream: {answer.error.description}")
    return answer


def _is_forbidden(client: Client, subject: str) -> bool:
    """A refused publish is never answered; the reason comes apart, as the client's last error."""
    return bool(subject) and f'publish to "{subject}"'.lower() in str(client.last_error).lower()


async def _on_error(error: Exception) -> None:
    """Only the kind: the text may name a subject, and subjects name chats."""
    log.debug("nats: %s", type(error).__name__)


async def _on_reconnect() -> None:
    log.info("nats: connected again")
