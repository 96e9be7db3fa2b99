"""The recorders, held to the library's own suite on a real server."""

from collections.abc import Iterator

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.utils import Environment

from adapters.eventsourcing import JetStreamFactory


class OnJetStream:
    """A factory with a stream of the test's own."""

    factory: JetStreamFactory

    @pytest.fixture(autouse=True)
    def _factory(self, es_env: dict[str, str]) -> Iterator[None]:
        self.factory = JetStreamFactory(Environment("suite", es_env))
        yield
        self.factory.close()


class TestAggregateRecorder(OnJetStream, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder()


class TestSnapshotRecorder(OnJetStream, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder("snapshots")


class TestApplicationRecorder(OnJetStream, ApplicationRecorderTestCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestAggregatesNamedByText(TestApplicationRecorder):
    """Ids of text, with everything a subject cannot hold."""

    def new_originator_id(self) -> str:
        return f"order.* > {super().new_originator_id()} \N{HEAVY BLACK HEART}"


class TestTrackingRecorder(OnJetStream, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.tracking_recorder()


class TestProcessRecorder(OnJetStream, ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.factory.process_recorder()


class TestNonInterleavingNotificationIds(OnJetStream, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()


del AggregateRecorderTestCase
del ApplicationRecorderTestCase
del NonInterleavingNotificationIDsBaseCase
del ProcessRecorderTestCase
del TrackingRecorderTestCase
