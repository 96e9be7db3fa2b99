"""The factory and the transcoder it gives, held to the library's own suite; and what it refuses."""

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactoryError,
    OperationalError,
    ProcessRecorder,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.tests.persistence import InfrastructureFactoryTestCase, TranscoderTestCase
from eventsourcing.utils import Environment

from adapters.eventsourcing import JetStreamFactory
from adapters.eventsourcing.recorders import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
    JetStreamProcessRecorder,
    JetStreamTrackingRecorder,
)


class OurTrackingRecorder(JetStreamTrackingRecorder):
    """What a user's view would be."""


class TestFactory(InfrastructureFactoryTestCase[JetStreamFactory]):
    @pytest.fixture(autouse=True)
    def _env(self, es_env: dict[str, str]) -> None:
        self.env = Environment("suite", es_env)

    def expected_factory_class(self) -> type[JetStreamFactory]:
        return JetStreamFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return JetStreamAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return JetStreamApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return JetStreamTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return OurTrackingRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return JetStreamProcessRecorder


class TestTranscoder(TranscoderTestCase):
    def construct_transcoder(self) -> Transcoder:
        return JetStreamFactory(None).transcoder()


def test_without_an_address_the_setting_is_named() -> None:
    factory = JetStreamFactory(Environment("shop"))

    with pytest.raises(InfrastructureFactoryError, match="SHOP_NATS_URL, NATS_URL"):
        factory.application_recorder()


def test_a_server_that_is_not_there_is_an_operational_error() -> None:
    factory = JetStreamFactory(Environment("shop", {"NATS_URL": "nats://127.0.0.1:1"}))

    with pytest.raises(OperationalError, match="NATS does not answer"):
        factory.application_recorder()


def test_a_stream_that_differs_is_refused(es_env: dict[str, str]) -> None:
    one = JetStreamFactory(Environment("shop", es_env))
    one.application_recorder()
    one.close()

    other = JetStreamFactory(Environment("shop", es_env | {"NATS_REPLICAS": "3"}))
    with pytest.raises(OperationalError, match="stream T.*_shop"):
        other.application_recorder()
    other.close()


def test_the_ledger_cannot_be_opened_as_a_stream_of_ones_own(es_env: dict[str, str]) -> None:
    factory = JetStreamFactory(Environment("EV", es_env | {"NATS_STREAM": "ICTUS"}))

    with pytest.raises(OperationalError, match="ICTUS_EV"):
        factory.application_recorder()
    factory.close()


del InfrastructureFactoryTestCase
del TranscoderTestCase
