"""What the library's suite does not try: lost answers, a server that goes away, odd orders, limits."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from gc import collect
from threading import enumerate as threads

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    StoredEvent,
    Tracking,
)
from eventsourcing.utils import Environment

from adapters.eventsourcing import JetStreamFactory
from adapters.eventsourcing.recorders import JetStreamProcessRecorder
from adapters.storage import nats_connection
from tests.contracts.lossy import LossyLine
from tests.servers import NatsServer


@pytest.fixture
def factory(es_env: dict[str, str]) -> Iterator[JetStreamFactory]:
    factory = JetStreamFactory(Environment("world", es_env))
    yield factory
    factory.close()


@pytest.fixture
def recorder(factory: JetStreamFactory) -> JetStreamProcessRecorder:
    recorder = factory.process_recorder()
    assert isinstance(recorder, JetStreamProcessRecorder)
    return recorder


@pytest.fixture
async def line(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LossyLine]:
    monkeypatch.setattr(nats_connection, "ANSWER_SECONDS_MAX", 0.5)
    line = LossyLine(nats_server.url)
    yield line
    await line.close()


def event(originator: object, version: int, state: bytes = b"state") -> StoredEvent:
    return StoredEvent(str(originator), version, "topic", state)


# Lost answers


@pytest.mark.parametrize("count", [1, 3])
async def test_a_lost_acknowledgement_is_resolved(
    line: LossyLine, es_env: dict[str, str], count: int
) -> None:
    env = Environment("world", es_env | {"NATS_URL": await line.open()})
    factory = JetStreamFactory(env)
    recorder = await to_thread(factory.process_recorder)
    await to_thread(recorder.insert_events, [event("other", 1)])
    line.armed = True

    events = [event("one", version) for version in range(1, count + 1)]
    ids = await to_thread(recorder.insert_events, events)
    with pytest.raises(IntegrityError):
        await to_thread(recorder.insert_events, events)

    assert ids == list(range(2, 2 + count))
    assert await to_thread(recorder.select_events, "one") == events
    assert not line.armed
    await to_thread(factory.close)


async def test_a_lost_acknowledgement_of_a_position_alone_is_resolved(
    line: LossyLine, es_env: dict[str, str]
) -> None:
    env = Environment("world", es_env | {"NATS_URL": await line.open()})
    factory = JetStreamFactory(env)
    recorder = await to_thread(factory.tracking_recorder)
    await to_thread(recorder.insert_tracking, Tracking("upstream", 1))
    tracking = Tracking("upstream", 2)
    message = await to_thread(recorder._tracking_message, tracking, b"insert")
    line.armed = True

    first = await to_thread(lambda: recorder._thread.run(recorder._stream.insert([message])))
    again = await to_thread(lambda: recorder._thread.run(recorder._stream.insert([message])))

    assert first == again == 2
    assert not line.armed
    await to_thread(factory.close)


# A server that goes away


def test_a_server_that_went_away_is_an_operational_error_and_comes_back(
    nats_server: NatsServer,
    recorder: JetStreamProcessRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_connection, "PATIENCE_SECONDS", 0.5)
    recorder.insert_events([event("one", 1)])
    nats_server.kill()
    try:
        with pytest.raises(OperationalError):
            recorder.insert_events([event("one", 2)])
        with pytest.raises(OperationalError):
            recorder.select_events("one")
    finally:
        nats_server.restart()
    monkeypatch.setattr(nats_connection, "PATIENCE_SECONDS", 10.0)

    assert recorder.insert_events([event("one", 2)]) == [2]


def test_a_subscription_survives_a_restart_of_the_server(
    nats_server: NatsServer, recorder: JetStreamProcessRecorder
) -> None:
    recorder.insert_events([event("one", 1)])
    with recorder.subscribe() as subscription:
        seen = [next(subscription).originator_version]
        nats_server.kill()
        nats_server.restart()
        recorder.insert_events([event("one", 2)])
        seen.append(next(subscription).originator_version)

    assert seen == [1, 2]


# Orders and limits


def test_versions_recorded_in_any_order_are_read_in_theirs(
    recorder: JetStreamProcessRecorder,
) -> None:
    for version in (1, 10, 2):
        recorder.insert_events([event("one", version)])

    def versions(**choice: int | bool) -> list[int]:
        return [each.originator_version for each in recorder.select_events("one", **choice)]

    assert versions() == [1, 2, 10]
    assert versions(gt=2) == [10]
    assert versions(desc=True) == [10, 2, 1]
    assert versions(desc=True, limit=1) == [10]
    assert versions(lte=9, desc=True, limit=1) == [2]
    assert versions(gt=10) == []


def test_a_conflict_in_one_aggregate_stores_nothing_of_the_others(
    recorder: JetStreamProcessRecorder,
) -> None:
    recorder.insert_events([event("one", 1)])

    with pytest.raises(IntegrityError):
        recorder.insert_events([event("two", 1), event("one", 1)], tracking=Tracking("up", 1))

    assert recorder.select_events("two") == []
    assert recorder.max_tracking_id("up") is None
    assert recorder.max_notification_id() == 1


def test_snapshots_and_positions_are_no_notifications(
    factory: JetStreamFactory, recorder: JetStreamProcessRecorder
) -> None:
    factory.aggregate_recorder("snapshots").insert_events([event("one", 7)])
    recorder.insert_events([event("one", 1)], tracking=Tracking("up", 3))

    with recorder.subscribe() as subscription:
        first = next(subscription)

    assert recorder.select_notifications(None, 10) == [first]
    assert (first.originator_version, first.id) == (1, recorder.max_notification_id())


def test_more_than_a_batch_and_too_large_an_event_are_refused(
    recorder: JetStreamProcessRecorder,
) -> None:
    with pytest.raises(NotSupportedError, match="at most 1000"):
        recorder.insert_events([event("one", version) for version in range(1001)])
    with pytest.raises(DataError, match="at most"):
        recorder.insert_events([event("one", 1, b"x" * 1024 * 1024)])

    large = event("one", 1, b"x" * 1000 * 1000)
    recorder.insert_events([large])
    assert recorder.select_events("one") == [large]


def test_a_long_history_is_read_whole(recorder: JetStreamProcessRecorder) -> None:
    for start in range(0, 2000, 1000):
        recorder.insert_events([event("one", start + number) for number in range(1000)])

    assert len(recorder.select_events("one")) == 2000
    assert len(recorder.select_events("one", gt=100)) == 1899
    assert len(recorder.select_notifications(1, 1500)) == 1500


def test_one_of_many_racing_for_a_version_wins(recorder: JetStreamProcessRecorder) -> None:
    def won(state: bytes) -> bool:
        try:
            recorder.insert_events([event("one", 1, state)])
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(won, (bytes([number]) for number in range(40))))

    (stored,) = recorder.select_events("one")
    assert [number for number, each in enumerate(outcomes) if each] == [stored.state[0]]


# Ends


def test_stopping_wakes_a_subscriber_who_waits(recorder: JetStreamProcessRecorder) -> None:
    subscription = recorder.subscribe()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(subscription))
        subscription.stop()

        assert waiting.result() == []


def test_a_closed_connection_says_so(
    factory: JetStreamFactory, recorder: JetStreamProcessRecorder
) -> None:
    factory.close()
    factory.close()

    with pytest.raises(InterfaceError, match="closed"):
        recorder.insert_events([event("one", 1)])


def test_an_application_nobody_closed_leaves_no_thread(es_env: dict[str, str]) -> None:
    def used() -> None:
        app = Application[object](env=es_env)
        app.save(Aggregate())

    before = {thread.name for thread in threads()}
    used()
    collect()

    assert {thread.name for thread in threads()} <= before
