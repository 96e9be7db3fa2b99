"""The factory: what an application needs, from its environment.

NATS_URL        where the server is, with the password if it has one
NATS_STREAM     streams are named `<NATS_STREAM>_<application>`; `ES` by default
NATS_REPLICAS   1 by default
CREATE_TABLE    `n` when the stream must exist already

An acknowledged event is on the disk if the server has `sync_interval: always`.
"""

from functools import cached_property

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ProcessRecorder,
    Transcoder,
)
from eventsourcing.utils import Environment, resolve_topic, strtobool

from adapters.eventsourcing.loop import LoopThread
from adapters.eventsourcing.recorders import (
    JetStreamAggregateRecorder,
    JetStreamApplicationRecorder,
    JetStreamProcessRecorder,
    JetStreamTrackingRecorder,
)
from adapters.eventsourcing.records import EVENTS, Subjects, token
from adapters.eventsourcing.stream import EventStream
from adapters.eventsourcing.transcoder import ExactTranscoder
from adapters.storage.streams import STREAMS

NATS_URL, NATS_STREAM, NATS_REPLICAS = "NATS_URL", "NATS_STREAM", "NATS_REPLICAS"
CREATE_TABLE = "CREATE_TABLE"


class JetStreamFactory(InfrastructureFactory[JetStreamTrackingRecorder]):
    """One connection for all its recorders, made when the first is."""

    def transcoder(self) -> Transcoder:
        return super().transcoder() if self.env.get(self.TRANSCODER_TOPIC) else ExactTranscoder()

    def aggregate_recorder(self, purpose: str = EVENTS) -> AggregateRecorder:
        return JetStreamAggregateRecorder(self._thread, self._stream, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        return JetStreamApplicationRecorder(self._thread, self._stream)

    def tracking_recorder(
        self, tracking_recorder_class: type[JetStreamTrackingRecorder] | None = None
    ) -> JetStreamTrackingRecorder:
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        made: type[JetStreamTrackingRecorder] = tracking_recorder_class or (
            resolve_topic(topic) if topic else JetStreamTrackingRecorder
        )
        return made(self._thread, self._stream)

    def process_recorder(self) -> ProcessRecorder:
        return JetStreamProcessRecorder(self._thread, self._stream)

    def close(self) -> None:
        if "_thread" in vars(self):
            self._thread.close()

    @cached_property
    def _thread(self) -> LoopThread:
        return connected(self.env)

    @cached_property
    def _stream(self) -> EventStream:
        stream = EventStream(self._thread.client, stream_name(self.env))
        if strtobool(self.env.get(CREATE_TABLE, "y")):
            replicas = int(self.env.get(NATS_REPLICAS, "1"))
            self._thread.run(stream.provision(Subjects(stream.name).all, replicas))
        return stream


def stream_name(env: Environment) -> str:
    """Raises InfrastructureFactoryError for one of ictus's own streams."""
    name = "_".join(filter(None, (env.get(NATS_STREAM, "ES"), token(env.name))))
    if name in {config.name for config in STREAMS}:
        raise InfrastructureFactoryError(f"{name} is a stream of ictus: choose another NATS_STREAM")
    return name


def connected(env: Environment) -> LoopThread:
    """Raises InfrastructureFactoryError without NATS_URL, OperationalError when nothing answers."""
    url = env.get(NATS_URL)
    if not url:
        raise InfrastructureFactoryError(f"set one of {', '.join(env.create_keys(NATS_URL))}")
    return LoopThread(url, f"eventsourcing-{env.name}")
