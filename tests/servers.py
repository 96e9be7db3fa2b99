"""Real servers run for tests: no event loop, so that one can live longer than any test's loop."""

import asyncio
import subprocess
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from signal import SIGKILL

from msgspec.structs import replace

from benchmarks.faulty.cluster import node_child
from ictus.embedded import Nats, Postgres, nats_child, postgres_child
from ictus.supervisor import Child, command, opened_log, wait_ready

STOP_SECONDS_MAX = 20


class Server:
    """A child that stays away when killed, until `restart`."""

    process: subprocess.Popen[bytes]

    def __init__(self, child: Child) -> None:
        self.child = child

    def launch(self) -> None:
        """Starts it without waiting."""
        with opened_log(self.child.log) as log:
            self.process = subprocess.Popen(
                command(self.child),
                env=self.child.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Returns when it is ready; raises NotReady with the end of its log."""
        _in_a_loop(wait_ready(self.child, lambda: self.process.poll() is not None))

    def restart(self) -> None:
        self.launch()
        self.wait()

    def ensure(self) -> None:
        """Starts it if a test that failed left it dead, so that the others still mean something."""
        if self.process.poll() is not None:
            self.restart()

    def kill(self) -> None:
        """SIGKILL: what it had not written to the disk is lost."""
        self._end(SIGKILL)

    def stop(self) -> None:
        self._end(self.child.stop_signal)

    def _end(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(STOP_SECONDS_MAX)


class NatsServer(Server):
    """A real nats-server with JetStream, `sync_interval: always`; `url` holds its password."""

    def __init__(self, prepared: Nats) -> None:
        super().__init__(nats_child(prepared))
        self.url = prepared.url
        self.monitor_url = prepared.monitor_url
        self.data = prepared.data


class PostgresServer(Server):
    """A real PostgreSQL 18; `dsn_of(database)` reaches any of its databases.

    Without fsync, which only a power cut would miss and no test makes: databases come quickly.
    """

    def __init__(self, prepared: Postgres) -> None:
        child = postgres_child(prepared)
        super().__init__(replace(child, argv=(*child.argv, "-c", "fsync=off")))
        self.dsn = prepared.dsn
        self.dsn_of = prepared.dsn_of
        self.data = prepared.data


def _in_a_loop(coroutine: Coroutine[None, None, None]) -> None:
    """In a thread, since a test's own event loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, coroutine).result()


@contextmanager
def cluster_of(nodes: Sequence[Nats]) -> Iterator[list[NatsServer]]:
    """These nodes as a cluster, all started before any is waited for."""
    servers = [NatsServer(node) for node in nodes]
    with ExitStack() as stack:
        for number, server in enumerate(servers):
            server.child = node_child(nodes[number], number)
            server.launch()
            stack.callback(stop, server)
        for server in servers:
            server.wait()
        yield servers


def stop(server: NatsServer) -> None:
    """Also twice."""
    if server.process.returncode is None:
        server.stop()
