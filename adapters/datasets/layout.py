"""What lies where in a dataset's folder, and what its manifest says."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.merkle import leaf_hash
from projections.builder import Dataset, Spec

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
    `erased` are leaves of the root whose rows are gone: the leaf's hash (hex) by case."""

    root: str
    rows: int
    as_of: int
    head_sha256: str
    spec: Spec
    spec_sha256: str
    projector: str
    ledger: UUID
    erased: dict[str, str] = {}


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


def leaves(manifest: Manifest, cases_and_lines: Iterator[tuple[str, bytes]]) -> Iterator[bytes]:
    """The hash of every leaf of the root, in order: rows by case, erased ones among them."""
    erased = sorted(manifest.erased.items())
    for case, line in cases_and_lines:
        while erased and erased[0][0] < case:
            yield bytes.fromhex(erased.pop(0)[1])
        yield leaf_hash(line)
    yield from (bytes.fromhex(digest) for _, digest in erased)


def image_name(digest: str, data: bytes) -> str:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return f"{digest}.{'webp' if webp else 'png'}"
