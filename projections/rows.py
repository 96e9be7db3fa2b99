"""The row of a dataset: one case, as canonical JSON, whose bytes are its identity."""

from typing import Literal

import msgspec
from msgspec import Struct

from domain import merkle

PROJECTOR_VERSION = "rows@1"

Split = Literal["train", "validation", "test"]


class RowImage(Struct, frozen=True, kw_only=True):
    """One de-identified derivative: sha256 of its file bytes (hex), size in pixels, how it came."""

    sha256: str
    width: int
    height: int
    modality: str
    channel: str
    profile: str


class RowLabel(Struct, frozen=True, kw_only=True):
    """The cause in force as of the build: level 1 working diagnosis, 2 instrumental, 3 adjudicated."""

    cause: str
    level: int
    evidence: tuple[str, ...]
    stage: str
    rater: str


class Row(Struct, frozen=True, kw_only=True):
    """One case. `events` are the (sequence, id) of every event that determined the row."""

    case: str
    site: str
    patient: str
    origin: str
    images: tuple[RowImage, ...]
    context: dict[str, str]
    label: RowLabel | None
    split: Split
    events: tuple[tuple[int, str], ...]


def encode(row: Row) -> bytes:
    """Canonical bytes: UTF-8 JSON, keys sorted, no spaces, no floats anywhere in a row."""
    return msgspec.json.encode(row, order="sorted")


def decode(line: bytes) -> Row:
    return msgspec.json.decode(line, type=Row)


def dataset_root(encoded: list[bytes]) -> str:
    """Merkle root (hex) over the canonical rows, which must be sorted by case id."""
    return merkle.root(encoded).hex()
