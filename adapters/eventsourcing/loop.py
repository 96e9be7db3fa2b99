"""The bridge from the library, which blocks, to NATS, which does not: one event loop in a thread."""

from asyncio import AbstractEventLoop, Runner, run_coroutine_threadsafe
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from threading import Thread, current_thread
from typing import Any, TypeVar
from weakref import finalize

from eventsourcing.persistence import InterfaceError, InternalError, OperationalError
from nats.aio.client import Client

from adapters.storage.nats_connection import connect
from commands.ports import Damaged, Unavailable

CLOSE_SECONDS_MAX = 5.0

T = TypeVar("T")


class LoopThread:
    """A NATS client on a loop of its own, from any thread; closed by `close` or when forgotten.

    Raises OperationalError when NATS does not answer.
    """

    client: Client

    def __init__(self, url: str, name: str) -> None:
        started: Future[AbstractEventLoop] = Future()
        thread = Thread(target=_serve, args=(started,), name=f"nats-{name}", daemon=True)
        thread.start()
        self._loop = started.result()
        self._closing: finalize[..., LoopThread] = finalize(self, _stop, self._loop, thread)
        try:
            self.client = self.run(connect(url, name))
        except OperationalError:
            self.close()
            raise
        self._closing.detach()
        self._closing = finalize(self, _close, self._loop, thread, self.client)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Its result, waited for; errors are the library's. Raises InterfaceError once closed."""
        if not self._closing.alive:
            coroutine.close()
            raise InterfaceError("the connection to NATS is closed")
        with library_errors():
            return run_coroutine_threadsafe(coroutine, self._loop).result()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Runs it on the loop without waiting; nothing happens once closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        self._closing()


@contextmanager
def library_errors() -> Iterator[None]:
    """What the world did, in the library's words."""
    try:
        yield
    except (Unavailable, PermissionError) as error:
        raise OperationalError(str(error)) from error
    except Damaged as error:
        raise InternalError(str(error)) from error
    except CancelledError as error:
        raise InterfaceError("the connection to NATS was closed meanwhile") from error


def _serve(started: Future[AbstractEventLoop]) -> None:
    """Leaving the runner cancels what still runs."""
    with Runner() as runner:
        loop = runner.get_loop()
        started.set_result(loop)
        loop.run_forever()


def _close(loop: AbstractEventLoop, thread: Thread, client: Client) -> None:
    closed = run_coroutine_threadsafe(client.close(), loop)
    if current_thread() is not thread:
        with suppress(TimeoutError):
            closed.result(CLOSE_SECONDS_MAX)
    _stop(loop, thread)


def _stop(loop: AbstractEventLoop, thread: Thread) -> None:
    """The garbage collector may call this on the loop's own thread, which cannot wait for itself."""
    loop.call_soon_threadsafe(loop.stop)
    if current_thread() is not thread:
        thread.join(CLOSE_SECONDS_MAX)
