"""What is different on a cluster of three: repeats, replicas that lag, leaders that die, clustering
in place. That a replicated ledger does what every ledger must stands in `test_ledger.py`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from uuid import uuid4

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from adapters.storage import nats_connection
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import Answer, connect, patiently, publish
from adapters.storage.streams import LEDGER, STREAMS, Unfit, provision
from benchmarks.faulty.cluster import name_of, prepare_cluster
from benchmarks.faulty.fates import Rates, Schedule
from benchmarks.faulty.proxy import FaultProxy
from commands.ports import Conflict
from domain.identity import subject, subject_filter
from ictus.embedded import Nats, prepare_nats
from tests.contracts.writing import commit_to, event, followed, insist, new_request, notices
from tests.servers import NatsServer, cluster_of, stop

Start = Callable[[Sequence[Nats]], list[NatsServer]]
ORPHAN_SECONDS_MAX = 90.0


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers of one's own: one alone, or several as a cluster."""
    with ExitStack() as stack:

        def started(prepared: Sequence[Nats]) -> list[NatsServer]:
            if len(prepared) > 1:
                return stack.enter_context(cluster_of(prepared))
            (alone,) = servers = [NatsServer(node) for node in prepared]
            alone.restart()
            stack.callback(stop, alone)
            return servers

        yield started


@pytest.fixture
async def clients(
    cluster_client: Client, nats_cluster: list[NatsServer]
) -> AsyncIterator[list[Client]]:
    """One of each node."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(await connect(node.url, "node"))
            for node in nats_cluster
        ]


async def sent_twice(client: Client) -> Answer:
    """The answer to a message that is sent again as it was, because its first answer was lost."""
    person = uuid4()
    headers = {
        "Nats-Msg-Id": "1",
        "Nats-Expected-Last-Subject-Sequence": "0",
        "Nats-Expected-Last-Subject-Sequence-Subject": subject_filter("person", person),
    }
    for _ in range(2):
        answer = await publish(client, subject("person", person, "consented"), b"", headers)
    return answer


async def test_a_repeat_is_a_wrong_sequence_on_a_server_alone(nats_client: Client) -> None:
    assert (await sent_twice(nats_client)).err_code == 10071


async def test_a_repeat_is_a_duplicate_on_a_cluster(cluster_client: Client) -> None:
    answer = await sent_twice(cluster_client)

    assert (answer.duplicate, answer.seq, answer.error) == (True, 1, None)


APPENDS = 12
"""With half of the answers dropped, one of 4096 runs would drop none."""


@pytest.mark.parametrize("sizes", [(1,), (2,), (1, 1)])
async def test_lost_acknowledgements_of_a_cluster_are_no_conflicts(
    cluster_client: Client,
    nats_cluster: list[NatsServer],
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[int, ...],
) -> None:
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.5)
    lossy = Schedule(1, {"ack": Rates(drop=0.5)})
    proxy = FaultProxy([node.url for node in nats_cluster], lossy)
    async with await connect(await proxy.open(), "lossy") as client:
        ledger = JetStreamLedger(client)
        commits = [[commit_to(uuid4(), *"ab"[:size]) for size in sizes] for _ in range(APPENDS)]
        sequences = [await ledger.append(new_request(), each) for each in commits]
    await proxy.close()

    assert sequences == [sum(sizes) * number for number in range(1, APPENDS + 1)]
    assert proxy.counts["drop ack"] > 0


async def test_a_load_shows_what_another_client_was_told_is_stored(clients: list[Client]) -> None:
    """A replica that answers may not have it yet: one in ten, asked bare under this load."""

    async def write_here_and_load_there(writer: int) -> None:
        here, there = (JetStreamLedger(clients[(writer + step) % 3]) for step in (0, 1))
        person = uuid4()
        for number in range(20):
            sequence = await insist(here, person, str(number))
            history = await there.load("person", person)
            assert history[-1].sequence == sequence
            assert len(history) == number + 1

    await asyncio.gather(*(write_here_and_load_there(writer) for writer in range(30)))


async def test_no_decision_is_made_twice_by_clients_of_different_nodes(
    clients: list[Client],
) -> None:
    """Each numbers its event by what it loaded: a decision on an old state would repeat a number."""
    ledgers, person = [JetStreamLedger(client) for client in clients], uuid4()

    async def decide(ledger: JetStreamLedger) -> None:
        stored = False
        while not stored:
            history = await ledger.load("person", person)
            after = history[-1] if history else None
            commit = commit_to(person, str(len(history)), after=after)
            with suppress(Conflict):
                await ledger.append(new_request(), [commit])
                stored = True

    await asyncio.gather(*(decide(ledgers[number % 3]) for number in range(30)))

    assert notices(await ledgers[0].load("person", person)) == [str(n) for n in range(30)]


async def test_nothing_acknowledged_is_lost_or_doubled_when_the_leader_is_killed(
    cluster_client: Client, nats_cluster: list[NatsServer]
) -> None:
    names = [name_of(number) for number in range(len(nats_cluster))]
    proxy = FaultProxy([node.url for node in nats_cluster], Schedule(1, {}))
    async with await connect(await proxy.open(), "writer") as client:
        ledger, person = JetStreamLedger(client), uuid4()

        async def write() -> list[int]:
            return [await insist(ledger, person, str(number)) for number in range(40)]

        writing = asyncio.create_task(write())
        await followed(ledger, count=10)
        info = await cluster_client.jetstream().stream_info(LEDGER)
        assert info.cluster is not None
        leader = nats_cluster[names.index(info.cluster.leader or "")]
        leader.kill()
        leader.restart()

        acknowledged = await writing
        assert acknowledged == list(range(1, 41))
        assert notices(await ledger.load("person", person)) == [str(n) for n in range(40)]
    await proxy.close()


# Clustering


async def test_a_ledger_with_one_replica_is_refused_on_a_cluster(cluster_client: Client) -> None:
    with pytest.raises(Unfit, match="node of a cluster, but the streams are to have 1 replica"):
        await provision(cluster_client, "demo")

    await cluster_client.jetstream().delete_stream(LEDGER)
    await cluster_client.jetstream().add_stream(STREAMS[0])
    with pytest.raises(Unfit, match="`num_replicas` is 1, must be 3"):
        await provision(cluster_client, "demo", replicas=3)


async def test_a_replicated_ledger_is_refused_on_a_server_alone(nats_client: Client) -> None:
    with pytest.raises(Unfit, match="nats-server is alone, but the streams are to have 3 replicas"):
        await provision(nats_client, "demo", replicas=3)


async def make_ledger(server: NatsServer, replicas: int) -> Path:
    """With one event in it; returns where the server keeps it."""
    async with await connect(server.url, "maker") as client:
        await patiently(lambda: provision(client, "site", replicas))
        await JetStreamLedger(client).append(new_request(), [commit_to(uuid4(), event().notice)])
    (stored,) = server.data.rglob(f"streams/{LEDGER}")
    return stored


@pytest.mark.long
async def test_a_store_that_is_clustered_in_place_is_deleted_but_boot_refuses_first(
    tmp_path: Path, start: Start
) -> None:
    """What nats-server 2.15.1 does, and why the way to a cluster is a restore into an empty one."""
    (alone,) = start([prepare_nats(tmp_path / "0")])
    stored = await make_ledger(alone, replicas=1)
    stop(alone)
    nodes = start(prepare_cluster(tmp_path))

    async with await connect(nodes[0].url, "boot") as client:
        with pytest.raises(Unfit, match="must not be clustered in place"):
            await provision(client, "site")
        with pytest.raises(NotFoundError):
            await client.jetstream().stream_info(LEDGER)
        async with asyncio.timeout(ORPHAN_SECONDS_MAX):
            while stored.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.5)


async def test_a_node_that_leaves_its_cluster_shows_no_ledger_and_boot_refuses(
    tmp_path: Path, start: Start
) -> None:
    nodes = start(prepare_cluster(tmp_path))
    stored = await make_ledger(nodes[0], replicas=3)
    for node in nodes:
        stop(node)
    (alone,) = start([prepare_nats(tmp_path / "0")])

    async with await connect(alone.url, "boot") as client:
        with pytest.raises(Unfit, match="nats-server is alone"):
            await provision(client, "site", replicas=3)
        with pytest.raises(NotFoundError):
            await client.jetstream().stream_info(LEDGER)
    assert stored.exists()
