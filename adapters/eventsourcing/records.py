"""How an application looks in its stream: subjects and payloads.

    es.<stream>.<purpose>.<originator>.<version>    an event or a snapshot
    es.<stream>.tracking.<application>              a position in another application

The payload is MessagePack. One message per version, so that the server itself refuses a second one.
"""

from urllib.parse import quote, unquote
from uuid import UUID

from eventsourcing.persistence import DataError, Notification, StoredEvent, Tracking
from msgspec import Struct, msgpack

from adapters.eventsourcing.stream import Message
from adapters.storage.replay import Stored

EVENT_BYTES_MAX = 1000 * 1024
EVENTS, TRACKING = "events", "tracking"
TEXT_MARK = "~"


class Record(Struct, frozen=True, array_like=True, tag="record"):
    """`insert` is unique to the call that stored it: a lost acknowledgement is told from a conflict."""

    purpose: str
    originator: str
    version: int
    topic: str
    state: bytes
    insert: bytes


class Position(Struct, frozen=True, array_like=True, tag="position"):
    notification_id: int
    insert: bytes


class Subjects:
    """The subjects of one stream."""

    def __init__(self, stream: str) -> None:
        self._root = f"es.{stream}"
        self.all = f"{self._root}.>"
        self.events = f"{self._root}.{EVENTS}.>"

    def history(self, purpose: str, originator: str) -> str:
        return self._of(purpose, originator, "*")

    def version(self, purpose: str, originator: str, version: int) -> str:
        return self._of(purpose, originator, str(version))

    def tracking(self, application_name: str) -> str:
        return f"{self._root}.{TRACKING}.{token(application_name)}"

    def _of(self, purpose: str, originator: str, versions: str) -> str:
        return f"{self._root}.{purpose}.{originator}.{versions}"


def token(name: str) -> str:
    """Any text as one subject token, still readable."""
    return quote(name, safe="").replace(".", "%2E")


def originator_token(originator_id: UUID | str) -> str:
    """An id of text is marked, since it may look like a UUID."""
    if isinstance(originator_id, UUID):
        return originator_id.hex
    return TEXT_MARK + token(originator_id)


def version_in(subject: str) -> int:
    return int(subject.rsplit(".", 1)[1])


def event_message(subjects: Subjects, purpose: str, event: StoredEvent, insert: bytes) -> Message:
    """Raises DataError when it is too large."""
    originator, version = originator_token(event.originator_id), event.originator_version
    payload = _encoder.encode(
        Record(purpose, originator, version, event.topic, event.state, insert)
    )
    if len(payload) > EVENT_BYTES_MAX:
        raise DataError(f"{event.topic}: {len(payload)} bytes, at most {EVENT_BYTES_MAX}")
    return Message(subjects.version(purpose, originator, version), payload)


def tracking_message(
    subjects: Subjects, tracking: Tracking, insert: bytes, expected: int
) -> Message:
    payload = _encoder.encode(Position(tracking.notification_id, insert))
    return Message(subjects.tracking(tracking.application_name), payload, expected)


def stored_event(stored: Stored, originator_id: UUID | str) -> StoredEvent:
    record = _records.decode(stored[1])
    return StoredEvent(originator_id, record.version, record.topic, record.state)


def notification(stored: Stored) -> Notification | None:
    """None for a snapshot or a position."""
    sequence, payload = stored
    match _anything.decode(payload):
        case Record(purpose, originator, version, topic, state) if purpose == EVENTS:
            return Notification(_originator(originator), version, topic, state, sequence)
        case _:
            return None


def position(stored: Stored) -> int:
    return _positions.decode(stored[1]).notification_id


def _originator(token: str) -> UUID | str:
    return unquote(token[1:]) if token.startswith(TEXT_MARK) else UUID(token)


_encoder = msgpack.Encoder()
_records = msgpack.Decoder(Record)
_positions = msgpack.Decoder(Position)
_anything = msgpack.Decoder(Record | Position)
