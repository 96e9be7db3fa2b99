"""The streams and buckets of design §7: one table, made once, checked at every start."""

from asyncio import sleep, to_thread
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from logging import getLogger
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

from msgspec import Struct, json
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from adapters.storage.nats_connection import PAUSE_SECONDS, manage
from domain.identity import SUBJECT_ROOT, Instant

SERVER_VERSION_MIN = (2, 15, 1)
VARZ_SECONDS_MAX = 5.0
SKEW_SECONDS_MAX = 5.0
UNRECOVERED, DELETED = "could not be recovered", " > ."
DELETION_QUESTIONS_MAX = 50

LEDGER = "ICTUS_EV"
INBOX = "ICTUS_IN"
OUTBOX = "ICTUS_OUT"
SCHEDULE = "ICTUS_SCHED"
DATASETS = "ICTUS_DATASET"
DEAD_LETTERS = "ICTUS_DLQ"
KEYS_BUCKET = "ICTUS_KEYS"
SENT_BUCKET = "ICTUS_SENT"
BLOCKED_BUCKET = "ICTUS_BLOCKED"
SCHEDULE_ROOT = "ictus.sched.at"

LEDGER_ID = "ictus-ledger"
LEDGER_ORIGIN = "ictus-origin"
Origin = Literal["demo", "site"]

MINUTE, DAY = 60.0, 86_400.0
EVENT_BYTES_MAX = 256 * 1024
MESSAGE_BYTES_MAX = 1024 * 1024

log = getLogger(__name__)


class Unfit(Exception):
    """The event store is not as it must be; the text says what differs and how to mend it."""


class ServerState(Struct, frozen=True):
    """The part of `/varz` that says when a write reaches the disk, and what time it is there."""

    class Inner(Struct, frozen=True):
        class Config(Struct, frozen=True):
            sync_always: bool = False

        config: Config = Config()

    now: Instant
    jetstream: Inner = Inner()


def bucket_subject(bucket: str) -> str:
    return f"$KV.{bucket}"


def token(name: str) -> str:
    """Any name as one subject token; hashed, since names may hold people's addresses."""
    return sha256(name.encode()).hexdigest()


def _work_queue(name: str, subject: str, max_age: float = 30 * DAY, **more: Any) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[subject],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        max_age=max_age,
        max_msg_size=MESSAGE_BYTES_MAX,
        duplicate_window=DAY,
        **more,
    )


def _bucket(name: str, **more: Any) -> StreamConfig:
    """A NATS key-value bucket with history 1. Deleting stays allowed: a key is erased for real."""
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"{bucket_subject(name)}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        max_msg_size=64 * 1024,
        duplicate_window=2 * MINUTE,
        allow_rollup_hdrs=True,
        allow_direct=True,
        **more,
    )


STREAMS: tuple[StreamConfig, ...] = (
    StreamConfig(
        name=LEDGER,
        subjects=[f"{SUBJECT_ROOT}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        max_age=0,
        max_msgs=-1,
        max_bytes=-1,
        max_msg_size=EVENT_BYTES_MAX,
        duplicate_window=10 * MINUTE,
        deny_delete=True,
        deny_purge=True,
        allow_atomic=True,
        allow_direct=True,
    ),
    _work_queue(INBOX, "ictus.in.>"),
    _work_queue(OUTBOX, "ictus.out.>"),
    _work_queue(SCHEDULE, "ictus.sched.>", allow_msg_schedules=True, allow_rollup_hdrs=True),
    _work_queue(DATASETS, "ictus.dataset.>", max_age=DAY),
    StreamConfig(
        name=DEAD_LETTERS,
        subjects=["ictus.dlq.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=30 * DAY,
        max_msg_size=MESSAGE_BYTES_MAX,
        duplicate_window=DAY,
        allow_direct=True,
    ),
    _bucket(KEYS_BUCKET),
    _bucket(SENT_BUCKET, max_age=7 * DAY),
    _bucket(BLOCKED_BUCKET, max_age=DAY),
)
# Not in StreamConfig's defaults, and deadly to a gapless ledger.
LEDGER_MUST_NOT = ("allow_msg_ttl", "allow_msg_schedules", "allow_batched", "subject_transform")


async def provision(client: Client, origin: Origin, replicas: int = 1) -> None:
    """Makes what is missing; raises Unfit for a stream that differs from the table, Unavailable.

    The ledger's id and `origin` are set when it is made and never change. `replicas` is 1 for a
    server alone, or the number of nodes that hold each stream of a cluster: either is refused on
    the other, since the way between them is a restore into an empty store.
    """
    _check_clustering(client, replicas)
    for wanted in (stream.evolve(num_replicas=replicas) for stream in STREAMS):
        found = await _existing(client, wanted.name or "") or await _made(client, wanted, origin)
        _check_flags(wanted, found)
        if wanted.name == LEDGER:
            _check_ledger(found, origin)


async def check_durability(
    client: Client, monitor_url: str, *, unsafe_durability: bool = False
) -> None:
    """Raises Unfit unless an acknowledged event is on the disk (server version and sync policy),
    and unless the server's clock and ours agree: of every node, if `monitor_url` names several."""
    try:
        _check_version(client)
        for url in monitor_url.split(","):
            before = datetime.now(UTC)
            server = await _server_state(url.strip())
            _check_sync(server)
            _check_clock(server.now, before, datetime.now(UTC))
    except Unfit as unfit:
        if not unsafe_durability:
            raise
        log.warning("unsafe durability: %s", unfit)


async def check_recovered(monitor_url: str) -> None:
    """Raises Unfit when a node has streams on its disk that it cannot open, such as those of an
    account that its configuration no longer names. Asked before a ledger is made anew."""
    for url in filter(None, monitor_url.split(",")):
        trouble = await _lasting_trouble(url.strip())
        if UNRECOVERED in trouble:
            raise Unfit(
                f"nats-server has streams that it cannot open ({trouble}): no new ledger is made"
                " beside them. Those under `$G` are from before there were users, and move to"
                " their account: see docs/operations.md, `Mending streams`."
            )


def _check_clustering(client: Client, replicas: int) -> None:
    """Before anything is made: a cluster calls a solo server's streams orphans, shows none of them
    and deletes them 30 s later; a server taken out of its cluster does not open its streams."""
    if clustered(client) == (replicas > 1):
        return
    if replicas == 1:
        raise Unfit(
            "nats-server is a node of a cluster, but the streams are to have 1 replica. A ledger"
            " of a server alone must not be clustered in place: nats-server deletes it. Stop this"
            " node at once, take `cluster` out of its configuration (its store is gone 30 s after"
            " the cluster came up: restore it then) and restore the ledger into an empty cluster."
        )
    raise Unfit(
        f"nats-server is alone, but the streams are to have {replicas} replicas: start it as a node"
        " of its cluster, or restore the ledger into an empty store of a server alone."
    )


def clustered(client: Client) -> bool:
    """Whether the connected server says it is a node of a cluster."""
    return bool(client._server_info.get("cluster"))


async def _existing(client: Client, name: str) -> StreamConfig | None:
    try:
        return (await manage(client, lambda js: js.stream_info(name))).config
    except NotFoundError:
        return None


async def _made(client: Client, wanted: StreamConfig, origin: Origin) -> StreamConfig:
    """If another process makes it at the same moment, its id stands."""
    metadata = {LEDGER_ID: str(uuid4()), LEDGER_ORIGIN: origin} if wanted.name == LEDGER else None
    try:
        made = await manage(client, lambda js: js.add_stream(wanted, metadata=metadata))
    except BadRequestError:
        found = await _existing(client, wanted.name or "")
        if found is None:
            raise
        return found
    return made.config


def _check_flags(wanted: StreamConfig, found: StreamConfig) -> None:
    wanted_flags, found_flags = wanted.as_dict(), found.as_dict()
    differing = [
        f"`{flag}` is {found_flags.get(flag)!r}, must be {value!r}"
        for flag, value in wanted_flags.items()
        if value is not None and found_flags.get(flag) != value
    ]
    if wanted.name == LEDGER:
        differing += [f"`{flag}` is set" for flag in LEDGER_MUST_NOT if found_flags.get(flag)]
    if differing:
        raise Unfit(
            f"Stream {wanted.name}: {'; '.join(differing)}. Mend it with `nats stream edit`, or "
            "move the store away and restore the ledger into an empty one."
        )


def _check_ledger(found: StreamConfig, origin: Origin) -> None:
    metadata = found.metadata or {}
    if LEDGER_ID not in metadata:
        raise Unfit(f"Stream {LEDGER} carries no ledger id: ictus did not make it.")
    if metadata.get(LEDGER_ORIGIN) != origin:
        raise Unfit(
            f"This ledger was made as `{metadata.get(LEDGER_ORIGIN)}` and is opened as `{origin}`:"
            " use another data directory or NATS account."
        )


def _check_version(client: Client) -> None:
    version = client.connected_server_version
    if (version.major, version.minor, version.patch) < SERVER_VERSION_MIN:
        wanted = ".".join(map(str, SERVER_VERSION_MIN))
        raise Unfit(f"nats-server is {version}: install {wanted} or newer.")


async def _server_state(monitor_url: str) -> ServerState:
    try:
        return json.decode(await to_thread(_varz, monitor_url), type=ServerState)
    except OSError as error:
        raise Unfit(
            f"The monitor of nats-server does not answer at {monitor_url}, so durability cannot be"
            " proved: set `http` in its configuration."
        ) from error


def _check_sync(server: ServerState) -> None:
    if not server.jetstream.config.sync_always:
        raise Unfit(
            "nats-server acknowledges before the disk has it: set `sync_interval: always` in the"
            " `jetstream` block of its configuration."
        )


def _check_clock(server: datetime, before: datetime, after: datetime) -> None:
    """The server's instant was read between our `before` and `after`."""
    skew = max(before - server, server - after, timedelta())
    if skew.total_seconds() > SKEW_SECONDS_MAX:
        raise Unfit(
            f"The clocks of nats-server and of this machine differ by {skew.total_seconds():.0f} s,"
            f" at most {SKEW_SECONDS_MAX:g} s are allowed: synchronise both (NTP)."
        )


async def _lasting_trouble(monitor_url: str) -> str:
    """The server first renames a stream that it deletes, and until its files are gone it names that
    remainder as one it could not recover."""
    for _ in range(DELETION_QUESTIONS_MAX):
        trouble = await to_thread(_trouble, monitor_url)
        if DELETED not in trouble:
            break
        await sleep(PAUSE_SECONDS)
    return trouble


def _trouble(monitor_url: str) -> str:
    """What the server says is wrong with it; empty for nothing."""
    try:
        with urlopen(f"{monitor_url}/healthz", timeout=VARZ_SECONDS_MAX) as answer:
            body: bytes = answer.read()
    except HTTPError as error:
        body = error.read()
    return str(json.decode(body, type=dict[str, Any]).get("error", ""))


def _varz(monitor_url: str) -> bytes:
    with urlopen(f"{monitor_url}/varz", timeout=VARZ_SECONDS_MAX) as answer:
        body: bytes = answer.read()
        return body
