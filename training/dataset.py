"""Reads a dataset directory and trusts nothing in it before its root and every image are verified.

Layout: `manifest.json`, `rows.ndjson` (canonical rows, sorted by case), `images/<sha256>.<ext>`.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from commands.ports import Missing
from projections.rows import Row, Tombstone, dataset_root, decode, encode, root_with

MANIFEST_FILE = "manifest.json"
ROWS_FILE = "rows.ndjson"
IMAGES = "images"


class DatasetManifest(Struct, frozen=True, kw_only=True):
    """What the builder promises: Merkle root (hex) over the rows and what is left of those erased
    since, the count of the rows, how they were made."""

    root: str
    rows: int
    spec: dict[str, Any]
    erased: tuple[Tombstone, ...] = ()


class DatasetRefused(Exception):
    """This directory is not the dataset its manifest describes; the message says where."""


@dataclass(frozen=True)
class Dataset:
    """A verified dataset."""

    folder: Path
    manifest: DatasetManifest
    rows: tuple[Row, ...]
    files: dict[str, Path]

    def derivative(self, digest: str) -> bytes:
        """Bytes of the image with that SHA-256; raises DatasetRefused when missing or altered."""
        if digest not in self.files:
            raise DatasetRefused(f"image {digest} is missing from {self.folder}")
        data = self.files[digest].read_bytes()
        if sha256(data).hexdigest() != digest:
            raise DatasetRefused(f"{self.files[digest]} does not have the hash in its name")
        return data


def read(folder: Path) -> Dataset:
    """Verifies the root over all rows and the hash of every image; raises DatasetRefused, Missing."""
    if not folder.is_dir():
        raise Missing(f"there is no folder {folder}")
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=DatasetManifest)
        lines = (folder / ROWS_FILE).read_bytes().splitlines()
        rows = tuple(decode(line) for line in lines)
    except (OSError, msgspec.DecodeError) as error:
        raise DatasetRefused(f"{folder} is not a dataset: {error}") from error
    _verify_rows(folder, manifest, lines, rows)
    files = {file.stem: file for file in (folder / IMAGES).glob("*.*")}
    dataset = Dataset(folder, manifest, rows, files)
    for row in rows:
        for image in row.images:
            dataset.derivative(image.sha256)
    return dataset


def write_images(folder: Path, images: dict[str, bytes]) -> None:
    """Stores PNG derivatives by their SHA-256."""
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    for digest, data in images.items():
        (folder / IMAGES / f"{digest}.png").write_bytes(data)


def write(folder: Path, rows: list[Row], spec: dict[str, Any]) -> DatasetManifest:
    """Writes rows whose images are already stored, and the manifest with their root."""
    lines = [encode(row) for row in sorted(rows, key=lambda row: row.case)]
    manifest = DatasetManifest(root=dataset_root(lines), rows=len(lines), spec=spec)
    (folder / ROWS_FILE).write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest, order="sorted"))
    return manifest


def _verify_rows(
    folder: Path, manifest: DatasetManifest, lines: list[bytes], rows: tuple[Row, ...]
) -> None:
    if list(rows) != sorted(rows, key=lambda row: row.case):
        raise DatasetRefused(f"the rows of {folder} are not sorted by case")
    if [encode(row) for row in rows] != lines:
        raise DatasetRefused(f"the rows of {folder} are not in canonical form")
    leaves = zip((row.case for row in rows), lines, strict=True)
    if len(rows) != manifest.rows or root_with(leaves, manifest.erased) != manifest.root:
        raise DatasetRefused(f"the rows of {folder} do not have the root {manifest.root}")
