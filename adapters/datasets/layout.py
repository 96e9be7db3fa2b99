"""What lies where in a dataset's folder, and what its manifest says."""

import heapq
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.merkle import leaf_hash
from projections.builder import Dataset
from projections.rows import Tombstone
from projections.spec import Spec

MANIFEST, ROWS, LOG, STATEMENT = (
    "manifest.json",
    "rows.ndjson",
    "log.entries",
    "statement.dsse.json",
)
CARD, CROISSANT = "README.md", "croissant.json"
TABLES, IMAGES, SHARDS = "parquet", "images", "shards"

Images = Literal["copy", "reference"]
Objects = Callable[[str, str], Awaitable[bytes]]
Progress = Callable[[int, int], None]
"""Told (done, all), in rows."""


class Manifest(Struct, frozen=True, kw_only=True):
    """`rows` counts them, `as_of` is the last event read from `ledger` and `head_sha256` its hash.
    `erased` stand for rows whose case was erased since, which the root still covers."""

    root: str
    rows: int
    as_of: int
    head_sha256: str
    spec: Spec
    spec_sha256: str
    projector: str
    ledger: UUID
    erased: tuple[Tombstone, ...] = ()


def manifest_of(dataset: Dataset) -> Manifest:
    return Manifest(
        root=dataset.root,
        rows=len(dataset.encoded),
        as_of=dataset.as_of,
        head_sha256=dataset.head_sha256,
        spec=dataset.spec,
        spec_sha256=dataset.spec_sha256,
        projector=dataset.projector,
        ledger=dataset.ledger,
        erased=dataset.erased,
    )


def manifest_bytes(manifest: Manifest) -> bytes:
    return pretty(manifest)


def pretty(value: object) -> bytes:
    """JSON that people read, always the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def read_manifest(folder: Path) -> Manifest:
    """Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)


def lines_of(folder: Path) -> Iterator[bytes]:
    """The canonical rows, one after the other, without their newlines. Raises OSError."""
    with (folder / ROWS).open("rb") as file:
        for line in file:
            yield line.removesuffix(b"\n")


def leaves(
    cases_and_lines: Iterable[tuple[str, bytes]], erased: Iterable[Tombstone]
) -> Iterator[bytes]:
    """The hash of every leaf of the root, in the order of cases, erased ones among them."""
    rows = ((case, leaf_hash(line)) for case, line in cases_and_lines)
    gone = sorted((tombstone.case, bytes.fromhex(tombstone.leaf)) for tombstone in erased)
    return (found for _, found in heapq.merge(rows, gone))


def image_name(digest: str, data: bytes) -> str:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return f"{digest}.{'webp' if webp else 'png'}"
