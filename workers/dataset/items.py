"""What asker and workers say to each other: an item of work, and what lies where in the objects.

The object `open` is there while somebody waits for the build; of each part there is `<n>.reached`
while it is folded, and in the end `<n>.part`.
"""

from typing import NamedTuple

from msgspec import Struct, json, msgpack

from commands.ports import Blobs, Ledger, Queue
from projections.part import Part, Portion

ROLE = "dataset-worker"
SUBJECT = "ictus.dataset"
SUBJECTS = (f"{SUBJECT}.>",)
FOLDER = "dataset"
DONE = ".part"
REACHED = ".reached"


class Means(NamedTuple):
    ledger: Ledger
    blobs: Blobs
    queue: Queue


class Item(Struct, frozen=True):
    """One part of the build with this name."""

    build: str
    portion: Portion

    @property
    def subject(self) -> str:
        return f"{SUBJECT}.{self.build}.{self.portion.shard}"

    @property
    def id(self) -> str:
        return f"{self.build}.{self.portion.shard}"


class Reached(Struct, frozen=True):
    """A sign of life: it is not the same twice. `sequence` is how far the ledger was read."""

    delivery: int
    beat: int
    sequence: int


class Result(Struct, frozen=True):
    """A part, or why there is none: the ledger `is_damaged`, or something else."""

    part: Part | None = None
    trouble: str = ""
    is_damaged: bool = False


def folder(build: str) -> str:
    return f"{FOLDER}/{build}/"


def open_key(build: str) -> str:
    return f"{folder(build)}open"


def done_key(build: str, shard: int) -> str:
    return f"{folder(build)}{shard}{DONE}"


def reached_key(build: str, shard: int) -> str:
    return f"{folder(build)}{shard}{REACHED}"


def encode(result: Result) -> bytes:
    return msgpack.encode(result)


def decode(data: bytes) -> Result:
    return msgpack.decode(data, type=Result)


def item_of(data: bytes) -> Item:
    """Raises msgspec.ValidationError for another version's item."""
    return json.decode(data, type=Item)
