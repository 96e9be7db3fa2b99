"""The envelope: CloudEvents 1.0 around every event, one byte string to store and to hash."""

from collections.abc import Iterable
from functools import cached_property
from hashlib import sha256
from typing import Any, NamedTuple, get_args
from uuid import UUID

import msgspec
from msgspec import Struct

from domain import case, dataset, dead_letter, examination, identity, model, person
from domain.identity import Instant
from domain.sealed import sealed_fields

Event = (
    case.CaseEvent
    | person.PersonEvent
    | person.InvitationEvent
    | model.ModelEvent
    | dataset.DatasetEvent
    | examination.ExaminationEvent
    | dead_letter.DeadLetterEvent
)
NO_HASH = "0" * 64
CONTENT_TYPE = "application/cloudevents+json"


class Kind(NamedTuple):
    """An aggregate's kind: how its state begins and how an event changes it."""

    name: str
    initial: Any
    evolve: Any


CASE = Kind(case.NAME, case.Case(), case.evolve)
PERSON = Kind(person.NAME, person.Person(), person.evolve)
INVITATION = Kind(person.INVITATION, person.Invitation(), person.evolve_invitation)
MODEL = Kind(model.NAME, model.Model(), model.evolve)
DATASET = Kind(dataset.NAME, dataset.Dataset(), dataset.evolve)
EXAMINATION = Kind(examination.NAME, examination.Examination(), examination.evolve)
DEAD_LETTER = Kind(dead_letter.NAME, dead_letter.Line(), dead_letter.evolve)

KINDS = {
    kind.name: kind for kind in (CASE, PERSON, INVITATION, MODEL, DATASET, EXAMINATION, DEAD_LETTER)
}
EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)


class Request(Struct, frozen=True, kw_only=True):
    """Who asks for what, why and when. The same `id` makes the same event ids, so it acts once.

    `actor` is `person:<id>`, `worker:<role>` or `system`; `cause` the event that led here.
    """

    id: UUID
    actor: str
    source: str
    time: Instant
    correlation: UUID
    cause: UUID | None = None


class Envelope(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """CloudEvents 1.0 attributes, with ours as extensions."""

    specversion: str
    id: UUID
    source: str
    type: str
    subject: str
    time: Instant
    actor: str
    correlationid: UUID
    causationid: UUID | None = None
    traceparent: str
    prevhash: str
    data: Event


class Recorded(Struct, frozen=True, dict=True):
    """An event as the ledger holds it: its stream sequence and its payload's exact bytes."""

    sequence: int
    payload: bytes
    envelope: Envelope

    @property
    def id(self) -> UUID:
        return self.envelope.id

    @property
    def event(self) -> Event:
        return self.envelope.data

    @cached_property
    def aggregate(self) -> str:
        return self.envelope.subject.split("/", 1)[0]

    @cached_property
    def aggregate_id(self) -> UUID:
        return UUID(self.envelope.subject.split("/", 1)[1])

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the payload, in hex: the next event's `prevhash`."""
        return payload_hash(self.payload)


def payload_hash(payload: bytes) -> str:
    return sha256(payload).hexdigest()


def tag_of(event: Event | type[Event]) -> str:
    """The stored name of an event's type, such as `case.opened.v1`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def event_name(event: Event | type[Event]) -> str:
    """The last token of its subject: the tag without aggregate and version."""
    return tag_of(event).split(".")[1]


def subject_of(aggregate_id: UUID, event: Event) -> str:
    aggregate, name, _ = tag_of(event).split(".")
    return identity.subject(aggregate, aggregate_id, name)


def envelope(
    request: Request, aggregate: str, aggregate_id: UUID, index: int, prevhash: str, event: Event
) -> Envelope:
    """The event number `index` of what `request` does to one aggregate."""
    event_id = identity.event_id(request.id, aggregate, aggregate_id, index)
    return Envelope(
        specversion="1.0",
        id=event_id,
        source=request.source,
        type=f"ictus.{tag_of(event)}",
        subject=f"{aggregate}/{aggregate_id}",
        time=request.time,
        actor=request.actor,
        correlationid=request.correlation,
        causationid=request.cause,
        traceparent=f"00-{request.correlation.hex}-{event_id.hex[:16]}-01",
        prevhash=prevhash,
        data=event,
    )


def encode(envelope: Envelope) -> bytes:
    """The payload. Refuses an event whose personal fields are not sealed (ValueError)."""
    for name, field in sealed_fields(envelope.data):
        if not field.key:
            raise ValueError(f"{envelope.type}: `{name}` must be sealed before it is stored")
    return _encoder.encode(envelope)


def decode(sequence: int, payload: bytes) -> Recorded:
    """Raises msgspec.ValidationError for a type this version does not know."""
    return Recorded(sequence, payload, _decoder.decode(payload))


def fold(kind: Kind, history: Iterable[Recorded]) -> Any:
    """The state after these events of one aggregate."""
    state = kind.initial
    for recorded in history:
        state = kind.evolve(state, recorded.event, recorded.id)
    return state


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)
