"""What a person typed or a messenger gave, sealed with the case's or the person's own key."""

from collections.abc import Iterator
from functools import cache
from typing import get_args, get_type_hints

from msgspec import Struct


class Sealed(Struct, frozen=True, gc=False):
    """`key` names the key, `nonce` and `box` are base64url of the nonce and the ciphertext.

    With an empty `key` it is not sealed yet, `box` being the plain text: only a command holds it
    so, between parsing and appending; encoding an event refuses it.
    """

    key: str
    nonce: str
    box: str


def plain(text: str) -> Sealed:
    """The text on its way to be sealed."""
    return Sealed(key="", nonce="", box=text)


def sealed_fields(event: Struct) -> Iterator[tuple[str, Sealed]]:
    """The sealed fields of an event by name; they stand at its top level only."""
    for name in _may_be_sealed(type(event)):
        value = getattr(event, name)
        if isinstance(value, Sealed):
            yield name, value


@cache
def _may_be_sealed(kind: type[Struct]) -> tuple[str, ...]:
    hints = get_type_hints(kind)
    return tuple(name for name, hint in hints.items() if Sealed in (hint, *get_args(hint)))


def additional_data(event_id: object, field: str) -> str:
    """What the seal is bound to: moving it to another event or field breaks it."""
    return f"{event_id}/{field}"
