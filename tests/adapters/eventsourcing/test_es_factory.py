"""The factory and the transcoder it gives, held to the library's own suite; and what it refuses."""

from typing import Any

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactoryError,
    JSONTranscoder,
    OperationalError,
    ProcessRecorder,
    TrackingRecorder,
    Transcoder,
    Transcoding,
    UUIDAsHex,
)
from eventsourcing.tests.persistence import (
    CustomType1AsDict,
    CustomType2AsDict,
    InfrastructureFactoryTestCase,
    Mydict,
    MyInt,
    MyList,
    MyStr,
    TranscoderTestCase,
)
from eventsourcing.utils import Environment, get_topic

from adapters.eventsourcing import JetStreamFactory
from adapters.eventsourcing.recorders import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
    JetStreamProcessRecorder,
    JetStreamTrackingRecorder,
)
from adapters.eventsourcing.transcoder import ExactTranscoder
from adapters.storage import nats_connection


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


class MydictAsDict(Transcoding):
    type = Mydict
    name = "mydict"

    def encode(self, obj: Mydict[Any, Any]) -> dict[Any, Any]:
        return dict(obj)

    def decode(self, data: dict[Any, Any]) -> Mydict[Any, Any]:
        return Mydict(data)


class MyListAsList(Transcoding):
    type = MyList
    name = "mylist"

    def encode(self, obj: MyList[Any]) -> list[Any]:
        return list(obj)

    def decode(self, data: list[Any]) -> MyList[Any]:
        return MyList(data)


class MyStrAsStr(Transcoding):
    type = MyStr
    name = "mystr"

    def encode(self, obj: MyStr) -> str:
        return str(obj)

    def decode(self, data: str) -> MyStr:
        return MyStr(data)


class MyIntAsInt(Transcoding):
    type = MyInt
    name = "myint"

    def encode(self, obj: MyInt) -> int:
        return int(obj)

    def decode(self, data: int) -> MyInt:
        return MyInt(data)


TRANSCODINGS: tuple[type[Transcoding], ...] = (
    UUIDAsHex,
    CustomType1AsDict,
    CustomType2AsDict,
    MydictAsDict,
    MyListAsList,
    MyStrAsStr,
    MyIntAsInt,
)


class TestTranscoder(TranscoderTestCase):
    def construct_transcoder(self) -> Transcoder:
        transcoder = JetStreamFactory(None).transcoder()
        assert isinstance(transcoder, ExactTranscoder)
        for transcoding in TRANSCODINGS:
            transcoder.register(transcoding())
        return transcoder


def test_the_library_s_own_transcoder_can_be_chosen() -> None:
    env = {"TRANSCODER_TOPIC": get_topic(JSONTranscoder)}

    assert type(JetStreamFactory(env).transcoder()) is JSONTranscoder


def test_what_the_library_s_own_transcoder_wrote_is_read() -> None:
    written = JSONTranscoder().encode({"numbers": (1, 2)})

    assert ExactTranscoder().decode(written) == {"numbers": [1, 2]}


def test_without_an_address_the_setting_is_named() -> None:
    factory = JetStreamFactory(Environment("shop"))

    with pytest.raises(InfrastructureFactoryError, match="SHOP_NATS_URL, NATS_URL"):
        factory.application_recorder()


def test_a_server_that_is_not_there_is_an_operational_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_connection, "CONNECT_SECONDS_MAX", 0.5)
    factory = JetStreamFactory(Environment("shop", {"NATS_URL": "nats://127.0.0.1:1"}))

    with pytest.raises(OperationalError, match="NATS does not answer"):
        factory.application_recorder()


def test_a_stream_that_differs_is_refused(es_env: dict[str, str]) -> None:
    one = JetStreamFactory(Environment("shop", es_env))
    one.application_recorder()
    one.close()

    other = JetStreamFactory(Environment("shop", es_env | {"NATS_REPLICAS": "3"}))
    with pytest.raises(OperationalError, match=r"stream T.*_shop"):
        other.application_recorder()
    other.close()


def test_the_ledger_cannot_be_opened_as_a_stream_of_ones_own(es_env: dict[str, str]) -> None:
    factory = JetStreamFactory(Environment("EV", es_env | {"NATS_STREAM": "ICTUS"}))

    with pytest.raises(InfrastructureFactoryError, match="ICTUS_EV is a stream of ictus"):
        factory.application_recorder()
    factory.close()


del InfrastructureFactoryTestCase
del TranscoderTestCase
