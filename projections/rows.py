"""The row of a dataset: one case, as canonical JSON, whose bytes are its identity."""

from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from domain import merkle

PROJECTOR_VERSION = "rows@3"

Split = Literal["train", "validation", "test", "external"]


class RowImage(Struct, frozen=True, kw_only=True):
    """One de-identified derivative: sha256 of its file bytes (hex), size in pixels, how it came."""

    sha256: str
    width: int
    height: int
    modality: str
    channel: str
    profile: str


class RowLabel(Struct, frozen=True, kw_only=True):
    """A final cause as `rater` knew it: level 1 working diagnosis, 2 instrumental, 3 adjudicated;
    `blinded` when no answer of a model existed yet. `stage`, `confidence` and `at` (the day it was
    said, as 2026-03-02) are empty if unknown."""

    cause: str
    level: int
    evidence: tuple[str, ...]
    stage: str
    rater: str
    confidence: str = ""
    blinded: bool = False
    at: str = ""


class Row(Struct, frozen=True, kw_only=True):
    """One case. `patient` stands for all cases of one patient, near duplicates counted as such until a
    person says otherwise; `label` is in force as of the build
    and `history` has those it overruled, oldest first. `events` are the (sequence, id) of every
    event that determined the row."""

    case: str
    site: str
    patient: str
    origin: str
    images: tuple[RowImage, ...]
    context: dict[str, str]
    label: RowLabel | None
    history: tuple[RowLabel, ...] = ()
    split: Split
    events: tuple[tuple[int, str], ...]


class Tombstone(Struct, frozen=True):
    """In the place of a row whose case was erased since: the hash of its leaf (hex) remains."""

    case: str
    leaf: str


def encode(row: Row) -> bytes:
    """Canonical bytes: UTF-8 JSON, keys sorted, no spaces, no floats anywhere in a row."""
    return msgspec.json.encode(row, order="sorted")


def decode(line: bytes) -> Row:
    return msgspec.json.decode(line, type=Row)


def dataset_root(encoded: Iterable[bytes]) -> str:
    """Merkle root (hex) over the canonical rows, which must be sorted by case id."""
    return merkle.root(encoded).hex()


def root_with(rows: Iterable[tuple[str, bytes]], erased: Iterable[Tombstone]) -> str:
    """Merkle root (hex) over (case, canonical row) and what is left of erased rows."""
    leaves = {case: merkle.leaf_hash(encoded) for case, encoded in rows}
    leaves |= {tombstone.case: bytes.fromhex(tombstone.leaf) for tombstone in erased}
    return merkle.root_of_hashes(leaves[case] for case in sorted(leaves)).hex()
