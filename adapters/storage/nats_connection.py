"""The connection to NATS: it reconnects for ever, and its errors become Unavailable in one place."""

from asyncio import CancelledError, current_task, get_running_loop, sleep, timeout
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import Any, TypeVar

from msgspec import Struct, json
from nats.aio.client import DEFAULT_INBOX_PREFIX, Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.errors import BadRequestError, NotFoundError

from adapters.storage.nkeys import Nkey, inbox_prefix
from commands.ports import Unavailable

CONNECT_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 2.0
PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.2
TOO_MANY = 429
REQUESTS_REMEMBERED = 256

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
    """nats-py's client, as a user of its own if given a key, who is told at once what is forbidden.

    The server complains apart from any answer, so those who asked lately are remembered.
    """

    def __init__(self, nkey: Nkey | None = None) -> None:
        super().__init__()
        self._asked: deque[tuple[str, str]] = deque(maxlen=REQUESTS_REMEMBERED)
        if nkey:
            self._auth_configured = True
            self._public_nkey = nkey.public

    async def publish(
        self,
        subject: str,
        payload: bytes = b"",
        reply: str = "",
        headers: dict[str, Any] | None = None,
    ) -> None:
        if reply:
            self._asked.append((subject, reply))
        await super().publish(subject, payload, reply, headers)

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout: float = 0.5,  # noqa: ASYNC109
        old_style: bool = False,
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Python 3.11's `wait_for`, which nats-py uses, forgets to cancel when the answer comes at
        the same moment: a follower could then never be stopped."""
        task = current_task()
        cancelled = task.cancelling() if task else 0
        message = await super().request(subject, payload, timeout, old_style, headers)
        if task and task.cancelling() > cancelled:
            raise CancelledError
        return message

    async def _process_err(self, err_msg: str) -> None:
        prefix = bytes(self._resp_sub_prefix or b"").decode()
        for subject, reply in self._asked:
            if f'publish to "{subject}"'.lower() in err_msg.lower():
                waiting = self._resp_map.get(reply.removeprefix(prefix))
                if waiting and not waiting.done():
                    waiting.set_exception(forbidden(subject))
        await super()._process_err(err_msg)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        """While the server is away there is nobody to send the rest to: nats-py would fail on it,
        and leave its tasks and its socket behind."""
        if not self.is_connected:
            self._pending.clear()
            self._pending_data_size = 0
        with suppress(OSError):
            await super()._close(status, do_cbs)


async def connect(url: str, name: str, nkey: Nkey | None = None) -> Client:
    """A client to be used as `async with`; raises Unavailable when nothing answers at `url`, or
    nobody is let in as this user.

    It is the user of `nkey`, or else the one whom `url` names.
    """
    client = Connection(nkey)

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
                signature_cb=nkey.sign if nkey else None,
                inbox_prefix=inbox_prefix(nkey.user) if nkey else DEFAULT_INBOX_PREFIX,
            )
    except (Error, OSError) as error:
        await client.close()
        raise Unavailable(_why_not(client.last_error or error, nkey)) from error
    return client


def _why_not(error: Exception, nkey: Nkey | None) -> str:
    if "authorization" not in str(error).lower():
        return f"NATS does not answer: {error}"
    if nkey is None:
        return f"NATS lets nobody in without a key ({error}): set ICTUS_NATS__NKEYS to the folder"
    return (
        f"NATS does not know the key of `{nkey.user}` ({error}): `ictus nkeys` writes the server's"
        " accounts.conf, and the server reads it at its start or on SIGHUP"
    )


@contextmanager
def reaching(client: Client) -> Iterator[None]:
    """Turns "the server is away" into Unavailable."""
    try:
        yield
    except (BadRequestError, NotFoundError, PermissionError):
        raise
    except (Error, OSError) as error:
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


async def manage(client: Client, call: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    """One request of the control plane, patiently: one that does the same when it is made twice."""

    async def attempt() -> T:
        must_be_connected(client)
        with reaching(client):
            return await call(jetstream(client))

    return await patiently(attempt)


async def ask(
    client: Client, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
) -> Msg:
    """One request and its answer; raises PermissionError, Unavailable after ANSWER_SECONDS_MAX."""
    must_be_connected(client)
    with reaching(client):
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


def forbidden(subject: str) -> PermissionError:
    """Names what was asked of JetStream, or else the beginning only: the rest may name a chat."""
    tokens = subject.split(".")
    named = tokens[:4] if subject.startswith("$JS.API.") else tokens[:2]
    return PermissionError(f"This NATS user may not publish to `{'.'.join(named)}.>`")


async def _on_error(error: Exception) -> None:
    """Only the kind: the text may name a subject, and subjects name chats."""
    log.debug("nats: %s", type(error).__name__)


async def _on_reconnect() -> None:
    log.info("nats: connected again")
