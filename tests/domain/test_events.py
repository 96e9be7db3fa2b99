"""Every event survives the wire, and what was stored once can be read for ever."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import Struct

from domain.events import (
    EVENT_TYPES,
    NO_HASH,
    Envelope,
    Event,
    Request,
    decode,
    encode,
    envelope,
    event_name,
    payload_hash,
    subject_of,
    tag_of,
)
from domain.sealed import Sealed, plain

GOLDEN = Path(__file__).parent.parent / "golden"
SIMPLE: Mapping[object, SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    type(None): st.none(),
    Sealed: st.builds(Sealed, key=st.text(min_size=1), nonce=st.text(), box=st.text()),
}
SAMPLES: Mapping[object, Any] = {
    str: "Проба / sample",
    int: 7,
    float: 0.25,
    bool: True,
    UUID: UUID("00000000-0000-4000-8000-000000000001"),
    datetime: datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    date: date(2026, 1, 2),
    Sealed: Sealed(key="case/00000000-0000-4000-8000-000000000001", nonce="bm9uY2U=", box="Ym94"),
}


def values(kind: object) -> SearchStrategy[Any]:
    """Any value of an annotation."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return st.builds(kind, **{name: values(hint) for name, hint in fields(kind)})
    if origin is Annotated:
        return values(inner[0])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (Union, UnionType):
        return st.one_of(*map(values, inner))
    if origin is tuple and inner[-1] is ...:
        return st.lists(values(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, inner))
    assert origin is dict, f"no strategy for {kind}"
    return st.dictionaries(*map(values, inner), max_size=3)


def sample(kind: object) -> Any:
    """One value of an annotation, always the same and with nothing left out."""
    if kind in SAMPLES:
        return SAMPLES[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind(**{name: sample(hint) for name, hint in fields(kind)})
    if origin is Literal:
        return inner[0]
    if origin is tuple and inner[-1] is not ...:
        return tuple(map(sample, inner))
    if origin is tuple:
        return (sample(inner[0]),)
    if origin is dict:
        return {sample(inner[0]): sample(inner[1])}
    return sample(inner[0])


def fields(kind: type) -> Iterator[tuple[str, object]]:
    yield from get_type_hints(kind).items()


def wrapped(event: Event) -> Envelope:
    """The event as a request would store it; everything in it is fixed but the event."""
    id_ = UUID("00000000-0000-4000-8000-000000000002")
    request = Request(
        id=id_,
        actor="worker:test",
        source="/ictus/test",
        time=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        correlation=id_,
        cause=id_,
    )
    return envelope(request, tag_of(event).split(".")[0], id_, 0, NO_HASH, event)


def without_additions(new: Any, old: Any) -> Any:
    """`new` without the fields that `old` does not know: a type may grow fields with defaults."""
    if isinstance(old, dict):
        return {key: without_additions(new[key], value) for key, value in old.items()}
    if isinstance(old, list):
        return [without_additions(*pair) for pair in zip(new, old, strict=True)]
    return new


def names(types: Sequence[type[Event]]) -> list[str]:
    return [tag_of(kind) for kind in types]


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=names(EVENT_TYPES))
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_every_event_survives_the_wire(kind: type[Event], data: st.DataObject) -> None:
    sent = wrapped(data.draw(values(kind)))

    received = decode(7, encode(sent))

    assert received.envelope == sent
    assert received.sequence == 7
    assert encode(received.envelope) == received.payload


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=names(EVENT_TYPES))
def test_every_event_that_was_ever_stored_can_be_read(kind: type[Event]) -> None:
    """One golden file per type and version: never edited, so that old ledgers stay readable."""
    path = GOLDEN / f"{tag_of(kind)}.json"
    assert path.exists(), (
        f"save as {path} without a final newline: {encode(wrapped(sample(kind)))!r}"
    )
    stored = path.read_bytes()

    recorded = decode(1, stored)

    again = without_additions(
        msgspec.json.decode(encode(recorded.envelope)), msgspec.json.decode(stored)
    )
    assert type(recorded.event) is kind
    assert msgspec.json.encode(again) == stored
    assert recorded.hash == payload_hash(stored)


def test_no_golden_file_is_left_without_its_type() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} <= set(names(EVENT_TYPES))


def test_no_two_events_share_a_stored_name() -> None:
    assert len(set(names(EVENT_TYPES))) == len(EVENT_TYPES)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=names(EVENT_TYPES))
def test_stored_names_carry_aggregate_name_and_version(kind: type[Event]) -> None:
    aggregate, name, version = tag_of(kind).split(".")

    assert version.startswith("v")
    assert event_name(kind) == name
    assert subject_of(UUID(int=1), sample(kind)).startswith("ictus.ev.")
    assert subject_of(UUID(int=1), sample(kind)).endswith(f".{aggregate}.{UUID(int=1)}.{name}")


def test_an_event_of_a_later_version_is_not_read_as_something_else() -> None:
    payload = encode(wrapped(sample(EVENT_TYPES[0])))
    later = payload.replace(tag_of(EVENT_TYPES[0]).encode(), b"case.opened.v99")

    with pytest.raises(msgspec.ValidationError):
        decode(1, later)


def test_an_event_with_plain_personal_text_is_never_stored() -> None:
    holders = [kind for kind in EVENT_TYPES if Sealed in dict(fields(kind)).values()]
    assert holders
    for kind in holders:
        name = next(name for name, hint in fields(kind) if hint is Sealed)
        bare = msgspec.structs.replace(sample(kind), **{name: plain("secret")})
        with pytest.raises(ValueError, match=f"`{name}` must be sealed"):
            encode(wrapped(bare))
