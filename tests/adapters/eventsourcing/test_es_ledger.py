"""The ictus ledger opened as an application of the library: read, followed, never written."""

from collections.abc import AsyncIterator, Iterator
from uuid import UUID

import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import NotSupportedError, StoredEvent

from adapters.eventsourcing.ledger import Ledger, LedgerFactory, LedgerRecorder
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.nats_connection import connect
from adapters.storage.streams import provision
from domain.events import CASE, Recorded, fold
from tests.givens import Given
from tests.servers import NatsServer


@pytest.fixture
async def told(fresh_nats: NatsServer) -> AsyncIterator[Given]:
    """A ward's story in a real ledger."""
    async with await connect(fresh_nats.url, "told") as client:
        await provision(client, "demo")
        given = Given(JetStreamLedger(client))
        await given.ward(4)
        yield given


@pytest.fixture
async def recorded(told: Given) -> list[Recorded]:
    return [each async for each in told.ledger.read()]


@pytest.fixture
def ledger(fresh_nats: NatsServer, recorded: list[Recorded]) -> Iterator[Ledger]:
    ledger = Ledger(env={"NATS_URL": fresh_nats.url})
    yield ledger
    ledger.close()


def a_case(recorded: list[Recorded]) -> UUID:
    return next(each.aggregate_id for each in recorded if each.aggregate == "case")


def test_notifications_are_the_ledger_s_events_by_sequence(
    ledger: Ledger, recorded: list[Recorded]
) -> None:
    notifications = ledger.recorder.select_notifications(start=1, limit=10_000)

    assert [(each.id, each.state) for each in notifications] == [
        (each.sequence, each.payload) for each in recorded
    ]
    assert ledger.recorder.max_notification_id() == len(recorded)


def test_a_version_is_the_position_in_the_aggregate(
    ledger: Ledger, recorded: list[Recorded]
) -> None:
    for each in ledger.recorder.select_notifications(start=1, limit=10_000):
        history = [one for one in recorded if one.aggregate_id == each.originator_id]
        assert history[each.originator_version - 1].sequence == each.id


@pytest.mark.parametrize(
    ("start", "inclusive", "first"), [(None, True, 1), (9, True, 9), (9, False, 10)]
)
def test_a_page_from_the_middle_knows_its_positions(
    ledger: Ledger, recorded: list[Recorded], start: int | None, inclusive: bool, first: int
) -> None:
    every = ledger.recorder.select_notifications(start=1, limit=10_000)
    fresh = LedgerFactory({"NATS_URL": ledger.env["NATS_URL"]})

    page = fresh.application_recorder().select_notifications(
        start, limit=5, inclusive_of_start=inclusive
    )
    fresh.close()

    assert page == every[first - 1 : first + 4]


def test_topics_and_a_last_sequence_narrow_a_page(ledger: Ledger, recorded: list[Recorded]) -> None:
    topic = "ictus.case.label-confirmed.v1"
    labels = [each.sequence for each in recorded if each.envelope.type == topic]

    found = ledger.recorder.select_notifications(1, 100, stop=labels[-1] - 1, topics=[topic])

    assert [each.id for each in found] == labels[:-1]
    assert ledger.recorder.select_notifications(len(recorded) + 1, 10) == []


def test_the_repository_folds_a_case_as_the_domain_does(
    ledger: Ledger, recorded: list[Recorded]
) -> None:
    case = a_case(recorded)
    history = [each for each in recorded if each.aggregate_id == case]

    aggregate = ledger.repository.get(case)
    early = ledger.repository.get(case, version=2)

    assert aggregate.state == fold(CASE, history)
    assert (aggregate.kind, aggregate.version) == ("case", len(history))
    assert early.state == fold(CASE, history[:2])
    with pytest.raises(AggregateNotFoundError):
        ledger.repository.get(UUID(int=0))


def test_events_of_a_case_are_chosen_by_version(ledger: Ledger, recorded: list[Recorded]) -> None:
    case = a_case(recorded)

    latest = next(ledger.events.get(case, desc=True, limit=1))
    middle = [event.originator_version for event in ledger.events.get(case, gt=1, lte=3)]

    assert latest.recorded == [each for each in recorded if each.aggregate_id == case][-1]
    assert middle == [2, 3]


async def test_a_subscription_goes_on_with_what_happens_next(told: Given, ledger: Ledger) -> None:
    head = ledger.recorder.max_notification_id()
    with ledger.recorder.subscribe(gt=head) as subscription:
        person = await told.stranger()
        notification = next(subscription)

    assert (notification.originator_id, notification.originator_version) == (person, 1)


def test_nothing_can_be_written(ledger: Ledger) -> None:
    assert isinstance(ledger.recorder, LedgerRecorder)
    with pytest.raises(NotSupportedError, match="read only"):
        ledger.save(Aggregate())
    with pytest.raises(NotSupportedError):
        ledger.recorder.insert_events([StoredEvent(UUID(int=1), 1, "topic", b"")])
    with pytest.raises(NotSupportedError):
        ledger.factory.process_recorder()
    with pytest.raises(NotSupportedError):
        ledger.factory.tracking_recorder()
