"""The catalogue of events, generated from the msgspec types: `python -m ictus.catalogue` writes it.

docs/schemas/<type>.json   one JSON Schema per event type: what its `data` holds
docs/events.md             the same for people
docs/asyncapi.yaml         an AsyncAPI 3 document of the ledger's channels
"""

import inspect
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from domain.events import CONTENT_TYPE, EVENT_TYPES, Envelope, Event, event_name, tag_of
from domain.identity import SUBJECT_ROOT

DOCS = Path(__file__).resolve().parents[1] / "docs"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema of each event's data, by CloudEvents type."""
    return {f"ictus.{tag_of(kind)}": _schema(kind) for kind in EVENT_TYPES}


def events_page() -> str:
    """The catalogue in Markdown."""
    parts = [
        "# Events\n",
        "Generated from the types by `python -m ictus.catalogue`; a test keeps it fresh.\n",
        "Every event is a CloudEvents 1.0 JSON object on the subject"
        f" `{SUBJECT_ROOT}.<part>.<aggregate>.<id>.<event>`; below is what its `data` holds."
        " Sealed fields are ciphertext under the case's or the person's own key.\n",
    ]
    for aggregate, kinds in _by_aggregate().items():
        parts.append(f"\n## {aggregate}\n")
        parts.extend(_event_section(kind) for kind in kinds)
    return "\n".join(parts)


def asyncapi() -> dict[str, Any]:
    """An AsyncAPI 3 document: one channel per event, the envelope's schema shared."""
    names = {kind: f"ictus.{tag_of(kind)}" for kind in EVENT_TYPES}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The ictus ledger",
            "version": "1",
            "description": "Every act as an immutable CloudEvent in the stream ICTUS_EV.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(kind, name) for kind, name in names.items()},
        "operations": {
            f"follow {name}": {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name in names.values()
        },
        "components": {
            "messages": {name: _message(kind, name) for kind, name in names.items()},
            "schemas": {"Envelope": _envelope_schema()},
        },
    }


def write(docs: Path = DOCS) -> None:
    for name, schema in schemas().items():
        path = docs / "schemas" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pretty(schema))
    (docs / "events.md").write_text(events_page())
    (docs / "asyncapi.yaml").write_bytes(msgspec.yaml.encode(asyncapi()))


def pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2).decode() + "\n"


def _schema(kind: type[Event]) -> dict[str, Any]:
    """Inlined definitions, so that each file stands alone."""
    (root,), components = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    own = components.pop(kind.__name__)
    assert root["$ref"].endswith(kind.__name__)
    described = {"$schema": DIALECT, "$id": f"ictus.{tag_of(kind)}", **own}
    return described | ({"$defs": components} if components else {})


def _by_aggregate() -> dict[str, list[type[Event]]]:
    found: dict[str, list[type[Event]]] = defaultdict(list)
    for kind in EVENT_TYPES:
        found[tag_of(kind).split(".")[0]].append(kind)
    return found


def _event_section(kind: type[Event]) -> str:
    lines = [f"### {event_name(kind)}\n", f"`ictus.{tag_of(kind)}`\n"]
    if kind.__doc__:
        lines.append(" ".join(inspect.cleandoc(kind.__doc__).split()) + "\n")
    schema = _schema(kind)
    required = set(schema.get("required", ()))
    lines.append("| field | type | |\n|---|---|---|")
    for name, shape in schema["properties"].items():
        if name != "event":
            lines.append(
                f"| `{name}` | {_words(shape)} | {'' if name in required else 'optional'} |"
            )
    return "\n".join(lines) + "\n"


def _words(shape: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in shape:
        return str(shape["$ref"]).rsplit("/", 1)[1]
    if "anyOf" in shape:
        return " or ".join(_words(one) for one in shape["anyOf"])
    if "enum" in shape:
        return ", ".join(f"`{word}`" for word in shape["enum"])
    if shape.get("type") == "array":
        inner = shape.get("prefixItems") or [shape.get("items") or {}]
        return "list of " + ", ".join(_words(one) for one in inner)
    if shape.get("type") == "object":
        return "object"
    return str(shape.get("format") or shape.get("type", "any"))


def _channel(kind: type[Event], name: str) -> dict[str, Any]:
    aggregate, event, _ = tag_of(kind).split(".")
    return {
        "address": f"{SUBJECT_ROOT}.{{part}}.{aggregate}.{{id}}.{event}",
        "parameters": {
            "part": {"description": "crc32 of the id, modulo 16, as two hex digits"},
            "id": {"description": f"the {aggregate}'s UUID"},
        },
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _message(kind: type[Event], name: str) -> dict[str, Any]:
    envelope = {"$ref": "#/components/schemas/Envelope"}
    data = {"type": "object", "properties": {"data": _schema(kind), "type": {"const": name}}}
    return {
        "name": name,
        "contentType": CONTENT_TYPE,
        "summary": " ".join(inspect.cleandoc(kind.__doc__ or "").split()),
        "payload": {"allOf": [envelope, data]},
    }


def _envelope_schema() -> dict[str, Any]:
    fields = {name: {"type": "string"} for name in Envelope.__struct_fields__ if name != "data"}
    for name in ("id", "correlationid", "causationid"):
        fields[name]["format"] = "uuid"
    fields["time"]["format"] = "date-time"
    optional = {"causationid"}
    return {
        "type": "object",
        "properties": {**fields, "data": {"type": "object"}},
        "required": [name for name in (*fields, "data") if name not in optional],
    }


if __name__ == "__main__":
    write()
