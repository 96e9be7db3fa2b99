"""A case's events in HTML: open fields in short, sealed ones only named."""

import re
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.events import Recorded, event_name
from domain.sealed import Sealed
from ictus.demo.story import Story

ID_CHARACTERS, VALUE_CHARACTERS_MAX, VALUES_MAX = 8, 48, 4
HASH = re.compile(r"[0-9a-f]{64}")


def timeline(story: Story) -> str:
    """A table of all events; seconds are from the first photo."""
    rows = "\n".join(_event(recorded, story.begun) for recorded in story.known.events)
    return f"""<table>
<thead><tr><th scope="col">seq</th><th scope="col">s</th><th scope="col">event</th>
<th scope="col">by</th><th scope="col">what it says</th></tr></thead>
<tbody>
{rows}
</tbody></table>"""


def _event(recorded: Recorded, begun: datetime) -> str:
    seconds = (recorded.envelope.time - begun).total_seconds()
    return (
        f"<tr><td>{recorded.sequence}</td><td>{seconds:+.2f}</td>"
        f"<td>{escape(event_name(recorded.event))}</td>"
        f"<td>{actor(recorded.envelope.actor)}</td>"
        f"<td>{_fields(recorded.event)}</td></tr>"
    )


def actor(name: str) -> str:
    """Who acted: a role of ours, or a person by the first digits of their id."""
    kind, _, who = name.partition(":")
    return escape(f"{kind} {who[:ID_CHARACTERS]}" if kind == "person" else who or kind)


def _fields(event: Struct) -> str:
    """In one line: open values shortened, sealed ones only named."""
    told = []
    for name in event.__struct_fields__:
        value, words = getattr(event, name), escape(_spaced(name))
        if isinstance(value, Sealed):
            told.append(f'<span>{words} <span class="sealed">sealed</span></span>')
        elif value not in (None, (), {}, ""):
            told.append(f"<span>{words} <b>{escape(_short(value))}</b></span>")
    return " ".join(told)


def _short(value: Any) -> str:
    """Ids and hashes by their first digits, lists by their first values."""
    match value:
        case UUID():
            return str(value)[:ID_CHARACTERS]
        case datetime():
            return f"{value:%H:%M:%S}"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{_spaced(name)} {_short(one)}" for name, one in value.items())
        case tuple():
            return _listed(value)
        case Struct():
            return " ".join(_short(getattr(value, name)) for name in value.__struct_fields__)
    text = str(value)
    length_max = ID_CHARACTERS if HASH.fullmatch(text) else VALUE_CHARACTERS_MAX
    return text if len(text) <= length_max else f"{text[:length_max]}…"


def _listed(values: tuple[Any, ...]) -> str:
    shown = [
        " ".join(map(_short, one)) if isinstance(one, tuple) else _short(one)
        for one in values[:VALUES_MAX]
    ]
    more = len(values) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _spaced(name: str) -> str:
    return name.replace("_", " ")
