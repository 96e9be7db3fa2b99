"""How an application looks in its stream: subjects and payloads.

    es.<stream>.<purpose>.<originator>.<version>    an event or a snapshot
    es.<stream>.tracking.<application>              a position in another application

The payload is MessagePack. One message per version, so that the server itself refuses a second one.
"""

from urllib.parse import quote, unquote
from uuid import UUID

from eventsourcing.persistence import DataError, Notification, StoredEvent, Tracking
from msgspec import Struct, msgpack

from adapters.eventsourcing.stream import Message, Stored

EVENT_BYTES_MAX = 1000 * 1024
EVENTS, TRACKING = "events", "tracking"
TEXT_MARK = "~"


class Record(Struct, frozen=True, array_like=True):
    """`insert` is unique to the call that stored it: a lost acknowledgement is told from a conflict."""

    topic: str
    state: bytes
    insert: bytes


class Position(Struct, frozen=True, array_like=True):
    notification_id: int
    insert: bytes


class Subjects:
    """The subjects of one stream."""

    def __init__(self, stream: str) -> None:
        self._root = f"es.{stream}"
        self.all = f"{self._root}.>"
        self.events = f"{self._root}.{EVENTS}.>"

    def history(self, purpose: str, originator_id: UUID | str) -> str:
        return f"{self._root}.{purpose}.{_originator_token(originator_id)}.*"

    def version(self, purpose: str, originator_id: UUID | str, version: int) -> str:
        return f"{self._root}.{purpose}.{_originator_token(originator_id)}.{version}"

    def tracking(self, application_name: str) -> str:
        return f"{self._root}.{TRACKING}.{token(application_name)}"


def token(name: str) -> str:
    """Any text as one subject token, still readable."""
    return quote(name, safe="").replace(".", "%2E")


def version_in(subject: str) -> int:
    return int(subject.rsplit(".", 1)[1])


def event_message(subjects: Subjects, purpose: str, event: StoredEvent, insert: bytes) -> Message:
    """Raises DataError when it is too large."""
    payload = _encoder.encode(Record(event.topic, event.state, insert))
    if len(payload) > EVENT_BYTES_MAX:
        raise DataError(f"{event.topic}: {len(payload)} bytes, at most {EVENT_BYTES_MAX}")
    subject = subjects.version(purpose, event.originator_id, event.originator_version)
    return Message(subject, payload)


def tracking_message(
    subjects: Subjects, tracking: Tracking, insert: bytes, expected: int
) -> Message:
    payload = _encoder.encode(Position(tracking.notification_id, insert))
    return Message(subjects.tracking(tracking.application_name), payload, expected)


def stored_event(stored: Stored, originator_id: UUID | str) -> StoredEvent:
    record = _records.decode(stored.payload)
    return StoredEvent(originator_id, version_in(stored.subject), record.topic, record.state)


def notification(stored: Stored) -> Notification:
    record = _records.decode(stored.payload)
    originator, version = stored.subject.rsplit(".", 2)[1:]
    return Notification(
        _originator(originator), int(version), record.topic, record.state, stored.sequence
    )


def position(stored: Stored) -> int:
    return _positions.decode(stored.payload).notification_id


def _originator_token(originator_id: UUID | str) -> str:
    """An id of text is marked, since it may look like a UUID."""
    if isinstance(originator_id, UUID):
        return originator_id.hex
    return TEXT_MARK + token(originator_id)


def _originator(token: str) -> UUID | str:
    return unquote(token[1:]) if token.startswith(TEXT_MARK) else UUID(token)


_encoder = msgpack.Encoder()
_records = msgpack.Decoder(Record)
_positions = msgpack.Decoder(Position)
