"""What others build on: CloudEvents as the official SDK reads them, and schemas that only grow."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from ictus import catalogue

GOLDEN = Path(__file__).parents[1] / "golden"
TYPES = sorted(catalogue.schemas())


def golden(type_: str) -> bytes:
    return (GOLDEN / f"{type_.removeprefix('ictus.')}.json").read_bytes()


def committed(type_: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(
        (catalogue.DOCS / "schemas" / f"{type_}.json").read_text("utf-8")
    )
    return schema


@pytest.mark.parametrize("type_", TYPES)
def test_the_official_sdk_reads_every_event(type_: str) -> None:
    event = JSONFormat().read(CloudEvent, golden(type_))
    assert event.get_type() == type_
    assert event.get_specversion() == "1.0"
    assert event.get_extension("prevhash") == json.loads(golden(type_))["prevhash"]


@pytest.mark.parametrize("type_", TYPES)
def test_stored_events_satisfy_their_schema(type_: str) -> None:
    jsonschema.validate(json.loads(golden(type_))["data"], catalogue.schemas()[type_])


@pytest.mark.parametrize("type_", TYPES)
def test_a_schema_changes_only_by_addition(type_: str) -> None:
    now = json.loads(catalogue.pretty(catalogue.schemas()[type_]))
    assert broken(committed(type_), now) == []


def test_no_type_disappears() -> None:
    known = {path.stem for path in (catalogue.DOCS / "schemas").glob("*.json")}
    assert known <= set(TYPES)


def test_the_documents_are_fresh(tmp_path: Path) -> None:
    catalogue.write(tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    stale = [
        name
        for name in made
        if (catalogue.DOCS / name).read_bytes() != (tmp_path / name).read_bytes()
    ]
    assert stale == [], "run `python -m ictus.catalogue`"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"properties": {}}, "`age` is gone"),
        ({"properties": {"age": {"type": "string"}}}, "`age` has another shape"),
        ({"required": ["age"]}, "`age` is required now"),
        ({"properties": {"age": {"enum": ["young"]}}}, "`age` has another shape"),
    ],
)
def test_the_gate_catches_what_breaks_readers(change: dict[str, Any], what: str) -> None:
    old = {"properties": {"age": {"enum": ["young", "old"]}}, "required": []}
    assert broken(old, old | change) == [what]


def test_the_gate_lets_additions_pass() -> None:
    old = {"properties": {"age": {"enum": ["young"]}}, "required": []}
    new = {"properties": {"age": {"enum": ["old", "young"]}, "sex": {}}, "required": []}
    assert broken(old, new) == []


def broken(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Why readers or stored events of the old schema would not survive the new one."""
    found = []
    for name, shape in old["properties"].items():
        if name not in new["properties"]:
            found.append(f"`{name}` is gone")
        elif not covers(new["properties"][name], shape):
            found.append(f"`{name}` has another shape")
    newly = set(new.get("required", ())) - set(old.get("required", ()))
    return found + [f"`{name}` is required now" for name in sorted(newly)]


def covers(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """The same shape, or the same enumeration with more words."""
    if "enum" in old and "enum" in new:
        return set(old["enum"]) <= set(new["enum"])
    drop = ("description", "title")
    return {k: v for k, v in new.items() if k not in drop} == {
        k: v for k, v in old.items() if k not in drop
    }
