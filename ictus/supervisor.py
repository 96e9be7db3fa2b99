"""Runs the processes of one machine: starts them in order, restarts the dead, leaves none behind."""

import asyncio
import fcntl
import json
import os
import signal
import sys
import threading
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from types import TracebackType
from typing import IO, Any, Self

from msgspec import Struct

from commands.ports import Unavailable
from ictus.kept import make_private, write_private

PAUSE_SECONDS_MIN = 0.2
PAUSE_SECONDS_MAX = 5.0
HEALTHY_SECONDS = 10.0
READY_POLL_SECONDS = 0.02
LOG_BYTES_MAX = 16 * 1024 * 1024
TAIL_BYTES = 2000
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

log = getLogger(__name__)


class NotReady(Unavailable):
    """A child died or took too long before it was ready; the text ends with the end of its log."""


class AlreadyRunning(Exception):
    """Another supervisor is at work in the same run directory."""


class Child(Struct, frozen=True, kw_only=True):
    """A process to run.

    `argv` starts with an absolute path. `env` is the whole environment. `user` is the account to
    change to, for a supervisor that runs as root. `log` gets stdout and stderr.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    user: str | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_seconds_max: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0


class Supervisor:
    """`async with Supervisor(run_dir) as s: await s.start(child); await s.wait()`

    SIGINT, SIGTERM and SIGHUP end the body of the `async with`; leaving it by any way stops the
    children, last one first. `stopped_by` then tells the signal; a second one kills at once.
    `run_dir/pids.json` maps names to process ids.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.restarts: Counter[str] = Counter()
        self.stopped_by: signal.Signals | None = None
        self._children: dict[str, Child] = {}
        self._processes: dict[str, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._lock: IO[str] | None = None
        self._body: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        make_private(self.run_dir)
        self._lock = _locked(self.run_dir / "lock")
        _kill_stale(self.run_dir)
        self._body = asyncio.current_task()
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        body, self._body = self._body, None
        await self._stop()
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(number)
        if self._lock:
            self._lock.close()
        ended_by_signal = kind is asyncio.CancelledError and self.stopped_by is not None
        if ended_by_signal and body:
            body.uncancel()
        return ended_by_signal

    async def start(self, child: Child) -> None:
        """Starts a child and waits until it is ready; from then on it is restarted when it dies.

        Raises NotReady.
        """
        if child.name in self._children:
            raise ValueError(f"{child.name} was started already")
        self._children[child.name] = child
        process = await self._spawn(child)
        await wait_ready(child, lambda: process.returncode is not None)
        self._keepers.append(asyncio.create_task(self._keep(child), name=child.name))

    async def ready(self, name: str) -> None:
        """Waits until a child that was restarted answers again. Raises NotReady."""
        await wait_ready(self._children[name], lambda: False)

    def kill(self, name: str) -> None:
        """SIGKILL, to prove that nothing depends on a clean end; the child comes back by itself."""
        with suppress(ProcessLookupError):
            self._processes[name].kill()

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    async def wait(self) -> None:
        """Until a stop signal ends the body of the `async with`."""
        await asyncio.Event().wait()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._body and not self.stopped_by:
            self._body.cancel()
        else:
            for process in self._processes.values():
                _kill_group(process.pid)
        self.stopped_by = self.stopped_by or number

    async def _spawn(self, child: Child) -> Process:
        with opened_log(child.log) as output:
            process = await asyncio.create_subprocess_exec(
                *command(child),
                env=child.env,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
                start_new_session=True,
            )
        self._processes[child.name] = process
        self._write_pids()
        return process

    async def _keep(self, child: Child) -> None:
        """Restarts the child for ever, each time after a longer pause unless it ran well."""
        clock = asyncio.get_running_loop().time
        pause = PAUSE_SECONDS_MIN
        while True:
            started = clock()
            process = self._processes[child.name]
            code = await process.wait()
            _kill_group(process.pid)
            if clock() - started > HEALTHY_SECONDS:
                pause = PAUSE_SECONDS_MIN
            log.warning("%s ended with code %s; starting it in %.1f s", child.name, code, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            self.restarts[child.name] += 1
            await self._spawn(child)

    async def _stop(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        if self._keepers:
            await asyncio.wait(self._keepers)
        for name in reversed(self._processes):
            await _end(self._processes[name], self._children[name])
        self._processes.clear()
        self._write_pids()

    def _write_pids(self) -> None:
        pids = {name: process.pid for name, process in self._processes.items()}
        argvs = {name: self._children[name].argv for name in pids}
        write_private(self.run_dir / "argvs.json", json.dumps(argvs))
        write_private(self.run_dir / "pids.json", json.dumps(pids))


def command(child: Child) -> tuple[str, ...]:
    """What to execute so that `child` runs as its user and dies with this thread."""
    launcher = str(Path(__file__).with_name("launch.py"))
    return (
        *(sys.executable, "-I", "-S", launcher),
        *(str(os.getpid()), child.user or "", *child.argv),
    )


async def wait_ready(child: Child, died: Callable[[], bool]) -> None:
    """Until `child.ready` says so; raises NotReady when it died or took too long."""
    try:
        async with asyncio.timeout(child.ready_seconds_max):
            while not died():
                if child.ready is None or await child.ready():
                    return
                await asyncio.sleep(READY_POLL_SECONDS)
    except TimeoutError:
        reason = f"was not ready within {child.ready_seconds_max:g} s"
    else:
        reason = "ended before it was ready"
    raise NotReady(f"{child.name} {reason}; the end of {child.log}:\n{tail(child.log)}")


def opened_log(path: Path) -> IO[bytes]:
    """Opens a log to append to; one older part is kept, so that a log never grows for ever."""
    make_private(path.parent)
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name(path.name + ".old"))
    path.touch(mode=0o600)
    return path.open("ab")


def tail(path: Path) -> str:
    """The end of a log, for an error message."""
    return path.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()


def command_line(pid: int) -> tuple[str, ...]:
    """The arguments of a running process; empty when there is none (or no /proc to ask)."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0")[:-1])


def _locked(path: Path) -> IO[str]:
    path.touch(mode=0o600)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(f"another ictus is running in {path.parent}: stop it first") from None
    return file


def _kill_stale(run_dir: Path) -> None:
    """Kills what a supervisor left that was itself killed where no parent-death signal exists."""
    try:
        pids: dict[str, int] = json.loads((run_dir / "pids.json").read_text())
        argvs: dict[str, list[str]] = json.loads((run_dir / "argvs.json").read_text())
    except FileNotFoundError:
        return
    for name, pid in pids.items():
        argv = tuple(argvs.get(name, ()))
        if argv and command_line(pid)[-len(argv) :] == argv:
            log.warning("killing %s, process %s, left by an earlier run", name, pid)
            _kill_group(pid)


def _kill_group(pid: int) -> None:
    """The child with what it started: each child leads a process group of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _end(process: Process, child: Child) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(child.stop_signal)
    try:
        async with asyncio.timeout(child.grace_s):
            await process.wait()
    except TimeoutError:
        log.warning("%s did not stop within %g s: killed", child.name, child.grace_s)
    _kill_group(process.pid)
    await process.wait()
