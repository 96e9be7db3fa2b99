"""The streams on a real server: made once, checked at every start, refused when they differ."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from nats.js.errors import APIError

from adapters.storage import nats_connection, streams
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.queue import JetStreamQueue
from adapters.storage.streams import LEDGER, STREAMS, Unfit, check_durability, provision
from commands.ports import Unavailable
from ictus.embedded import prepare_nats
from tests.contracts.writing import commit_to, new_request
from tests.servers import NatsServer

StartServer = Callable[[str, str], NatsServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a server of one's own with one part of its configuration replaced."""
    with ExitStack() as stack:

        def start(part: str, replacement: str) -> NatsServer:
            prepared = prepare_nats(tmp_path / "nats")
            path = prepared.data / "nats.conf"
            text = path.read_text()
            assert part in text
            path.write_text(text.replace(part, replacement))
            server = NatsServer(prepared)
            server.restart()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
async def client(fresh_nats: NatsServer) -> AsyncIterator[Client]:
    async with await connect(fresh_nats.url, "streams") as client:
        yield client


async def test_every_stream_of_the_table_is_made(client: Client) -> None:
    await provision(client, "site")

    made = await client.jetstream().streams_info()
    assert {stream.config.name for stream in made} == {stream.name for stream in STREAMS}


async def test_provisioning_again_changes_nothing(client: Client) -> None:
    await provision(client, "demo")
    before = await JetStreamLedger(client).head()

    await provision(client, "demo")

    assert await JetStreamLedger(client).head() == before
    assert before.origin == "demo"


async def test_processes_that_start_at_once_agree_on_one_ledger(client: Client) -> None:
    await asyncio.gather(*(provision(client, "demo") for _ in range(5)))

    assert isinstance((await JetStreamLedger(client).head()).ledger, UUID)


async def test_a_demo_ledger_is_not_opened_for_a_site(client: Client) -> None:
    await provision(client, "demo")

    with pytest.raises(Unfit, match="made as `demo` and is opened as `site`"):
        await provision(client, "site")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("deny_delete", False, "`deny_delete` is False, must be True"),
        ("deny_purge", False, "`deny_purge` is False, must be True"),
        ("allow_atomic", False, "`allow_atomic` is None, must be True"),
        ("max_age", 3600, "`max_age` is 3600000000000, must be 0"),
        ("max_msgs", 10, "`max_msgs` is 10, must be -1"),
        ("allow_rollup_hdrs", True, "`allow_rollup_hdrs` is True"),
        ("allow_msg_ttl", True, "`allow_msg_ttl` is set"),
        ("allow_batched", True, "`allow_batched` is set"),
    ],
)
async def test_a_ledger_with_other_flags_is_refused_by_name(
    client: Client, flag: str, value: object, said: str
) -> None:
    metadata = {"ictus-ledger": str(uuid4()), "ictus-origin": "demo"}
    lax = STREAMS[0].evolve(deny_purge=False)
    await client.jetstream().add_stream(lax.evolve(**{flag: value}), metadata=metadata)

    with pytest.raises(Unfit, match=said):
        await provision(client, "demo")


async def test_a_ledger_that_ictus_did_not_make_is_refused(client: Client) -> None:
    await client.jetstream().add_stream(STREAMS[0])

    with pytest.raises(Unfit, match="carries no ledger id"):
        await provision(client, "demo")


async def test_no_event_can_be_deleted_or_purged(client: Client) -> None:
    await provision(client, "demo")
    await JetStreamLedger(client).append(new_request(), [commit_to(uuid4(), "a")])

    with pytest.raises(APIError, match="not permitted"):
        await client.jetstream().delete_msg(LEDGER, 1)
    with pytest.raises(APIError, match="not permitted"):
        await client.jetstream().purge_stream(LEDGER)


async def test_a_server_that_syncs_every_write_is_durable(
    client: Client, fresh_nats: NatsServer
) -> None:
    await check_durability(client, fresh_nats.monitor_url)


async def test_a_server_that_syncs_now_and_then_is_refused(start_server: StartServer) -> None:
    server = start_server("sync_interval: always", "sync_interval: '2m'")
    async with await connect(server.url, "streams") as client:
        with pytest.raises(Unfit, match="sync_interval: always"):
            await check_durability(client, server.monitor_url)

        await check_durability(client, server.monitor_url, unsafe_durability=True)


async def test_durability_that_cannot_be_proved_is_refused(client: Client) -> None:
    with pytest.raises(Unfit, match="monitor"):
        await check_durability(client, "http://127.0.0.1:1")


async def test_an_old_server_is_refused(
    client: Client, fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SERVER_VERSION_MIN", (99, 0, 0))

    with pytest.raises(Unfit, match=r"install 99\.0\.0 or newer"):
        await check_durability(client, fresh_nats.monitor_url)


async def test_a_forbidden_publish_says_so(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.5)
    reader = (
        "authorization { users: ["
        '{user: reader, password: reader, permissions: {publish: ["$JS.API.>"]}},'
        "{user: ictus, password: ictus}] }\n#"
    )
    server = start_server("accounts", reader)
    address = server.url.rsplit("@", 1)[1]
    async with await connect(f"nats://ictus:ictus@{address}", "admin") as admin:
        await provision(admin, "demo")
    async with await connect(f"nats://reader:reader@{address}", "reader") as client:
        ledger = JetStreamLedger(client)

        assert (await ledger.head()).sequence == 0
        for size in (1, 2):
            with pytest.raises(PermissionError, match=r"may not publish to `ictus\.ev\.>`"):
                await ledger.append(new_request(), [commit_to(uuid4(), *"ab"[:size])])
        with pytest.raises(PermissionError, match=r"may not publish to `ictus\.in\.>`"):
            await JetStreamQueue(client).publish("ictus.in.telegram.1", b"", message_id="1")


async def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "CONNECT_SECONDS_MAX", 0.5)

    with pytest.raises(Unavailable, match="NATS does not answer"):
        await connect("nats://127.0.0.1:1", "nobody")


async def test_a_wrong_password_is_told(
    fresh_nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "CONNECT_SECONDS_MAX", 0.5)
    address = fresh_nats.url.rsplit("@", 1)[1]

    with pytest.raises(Unavailable, match=r"(?i)authorization violation"):
        await connect(f"nats://ictus:wrong@{address}", "stranger")
