"""A dataset as a directory: canonical rows, a Parquet rendering, the images, a manifest and a card.

    manifest.json    what it is: the Merkle root, and all it was made from
    rows.ndjson      the canonical rows; their bytes are the leaves of the root
    rows.parquet     the same rows for other tools; never the dataset's identity
    images/          de-identified derivatives, `<sha256>.png` or `.webp`
    README.md        the card, for people

The same dataset always gives the same bytes: nothing here knows the time.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from commands.ports import Damaged
from projections.builder import Dataset
from projections.rows import Row, Tombstone, decode, encode, root_with
from projections.spec import Spec

MANIFEST, ROWS, PARQUET, IMAGES, CARD = (
    "manifest.json",
    "rows.ndjson",
    "rows.parquet",
    "images",
    "README.md",
)
Objects = Callable[[str, str], Awaitable[bytes]]

# Pinned, so that one version of pyarrow always writes the same bytes.
WRITER = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "row_group_size": 8192,
    "store_schema": False,
}
_TEXT, _INT = pa.string(), pa.int64()
_LABEL = pa.struct(
    {
        "cause": _TEXT,
        "level": _INT,
        "evidence": pa.list_(_TEXT),
        "stage": _TEXT,
        "rater": _TEXT,
        "confidence": _TEXT,
        "blinded": pa.bool_(),
    }
)
SCHEMA = pa.schema(
    {
        "case": _TEXT,
        "site": _TEXT,
        "patient": _TEXT,
        "origin": _TEXT,
        "split": _TEXT,
        "images": pa.list_(
            pa.struct(
                {
                    "sha256": _TEXT,
                    "width": _INT,
                    "height": _INT,
                    "modality": _TEXT,
                    "channel": _TEXT,
                    "profile": _TEXT,
                }
            )
        ),
        "context": pa.list_(pa.struct({"code": _TEXT, "value": _TEXT})),
        "label": _LABEL,
        "history": pa.list_(_LABEL),
        "events": pa.list_(pa.struct({"sequence": _INT, "id": _TEXT})),
    }
)


class Manifest(Struct, frozen=True, kw_only=True):
    """`rows` counts them, `as_of` is the last event read from `ledger` and `head_sha256` its hash;
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


async def write(dataset: Dataset, out: Path, objects: Objects) -> Manifest:
    """All of it or nothing appears at `out`; `objects(case, sha256)` gives a derivative's bytes.

    A directory that holds this very dataset already is left alone. Raises FileExistsError for any
    other, Damaged when an object is not what its hash says, and what `objects` raises.
    """
    manifest = manifest_of(dataset)
    if await asyncio.to_thread(_is_there, out, manifest):
        return manifest
    new = await asyncio.to_thread(_new_folder, out)
    try:
        for case, digest in _derivatives(dataset.rows):
            data = await objects(case, digest)
            await asyncio.to_thread(_write_image, new / IMAGES, case, digest, data)
        await asyncio.to_thread(_write_tables, new, manifest, dataset)
        await asyncio.to_thread(new.rename, out)
    finally:
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
    return manifest


def verify(folder: Path) -> list[str]:
    """What is wrong with the directory, each problem in a sentence; empty when all is well."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
        lines = (folder / ROWS).read_bytes().splitlines()
        rows = [decode(line) for line in lines]
    except (OSError, msgspec.DecodeError) as error:
        return [f"{folder} cannot be read as a dataset: {error}"]
    return [
        *_problems_of_rows(manifest, lines, rows),
        *_problems_of_parquet(folder / PARQUET, rows),
        *_problems_of_images(folder / IMAGES, rows),
        *_problems_of_card(folder / CARD, manifest, rows),
    ]


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


# Writing


def _is_there(out: Path, manifest: Manifest) -> bool:
    if not out.exists():
        return False
    file = out / MANIFEST
    if file.exists() and file.read_bytes() == _manifest_bytes(manifest) and not verify(out):
        return True
    raise FileExistsError(f"{out} is there already and is not this dataset: choose another place")


def _new_folder(out: Path) -> Path:
    """Beside `out`, since only within one file system a rename is all or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    new.chmod(0o755)
    (new / IMAGES).mkdir()
    return new


def _write_image(folder: Path, case: str, digest: str, data: bytes) -> None:
    if sha256(data).hexdigest() != digest:
        raise Damaged(f"object {digest} of case {case} does not have that hash")
    (folder / f"{digest}.{_extension(data)}").write_bytes(data)


def _write_tables(folder: Path, manifest: Manifest, dataset: Dataset) -> None:
    (folder / MANIFEST).write_bytes(_manifest_bytes(manifest))
    (folder / ROWS).write_bytes(b"".join(line + b"\n" for line in dataset.encoded))
    (folder / CARD).write_text(_card(manifest, dataset.rows), encoding="utf-8")
    pq.write_table(_table(dataset.rows), folder / PARQUET, **WRITER)


def _manifest_bytes(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def _extension(data: bytes) -> str:
    return "webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else "png"


def _derivatives(rows: list[Row]) -> Iterator[tuple[str, str]]:
    return ((row.case, image.sha256) for row in rows for image in row.images)


def _table(rows: list[Row]) -> Any:
    return pa.Table.from_pylist([_record(row) for row in rows], schema=SCHEMA)


def _record(row: Row) -> dict[str, Any]:
    """A row for Parquet: the same words, its mapping and pairs with named columns."""
    record: dict[str, Any] = msgspec.to_builtins(row)
    record["context"] = [{"code": code, "value": row.context[code]} for code in sorted(row.context)]
    record["events"] = [{"sequence": sequence, "id": id_} for sequence, id_ in row.events]
    return record


def _card(manifest: Manifest, rows: list[Row]) -> str:
    causes = Counter(row.label.cause if row.label else "no label" for row in rows)
    splits = Counter(row.split for row in rows)
    origins = Counter(row.origin for row in rows)
    return CARD_TEXT.format(
        manifest=manifest,
        images=sum(len(row.images) for row in rows),
        patients=len({row.patient for row in rows}),
        causes=_counted(causes),
        splits=_counted(splits),
        origins=_counted(origins),
    )


def _counted(counter: Counter[Any]) -> str:
    return ", ".join(f"{word} {counter[word]}" for word in sorted(counter)) or "none"


CARD_TEXT = """\
---
configs:
- config_name: default
  data_files: rows.parquet
---
# Dataset {manifest.spec.name}

Research data of ictus: de-identified images of ischaemic stroke and what became known of its cause.
Not for clinical use.

| | |
|---|---|
| root | `{manifest.root}` |
| cases | {manifest.rows} |
| patients | {patients} |
| images | {images} |
| causes | {causes} |
| splits | {splits} |
| origins | {origins} |
| ledger | `{manifest.ledger}` as of event {manifest.as_of} |
| hash of that event | `{manifest.head_sha256}` |
| spec | `{manifest.spec_sha256}` |
| made by | {manifest.projector} |

The root is the RFC 6962 Merkle tree hash over the lines of `rows.ndjson`, sorted by case; each row
names the events it was made from. `rows.parquet` holds the same rows. `ictus dataset verify FOLDER`
checks all of it.
"""


# Verifying


def _problems_of_rows(manifest: Manifest, lines: list[bytes], rows: list[Row]) -> Iterator[str]:
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), 1):
        if encode(row) != line:
            yield f"{ROWS} line {number} is not in canonical form"
    if [row.case for row in rows] != sorted({row.case for row in rows}):
        yield f"{ROWS} is not sorted by case, or has a case twice"
    if len(rows) != manifest.rows:
        yield f"{ROWS} has {len(rows)} rows and the manifest says {manifest.rows}"
    leaves = zip((row.case for row in rows), lines, strict=True)
    if (root := root_with(leaves, manifest.erased)) != manifest.root:
        yield f"{ROWS} has the root {root} and the manifest says {manifest.root}"
    if manifest.spec.sha256 != manifest.spec_sha256:
        yield f"the spec hashes to {manifest.spec.sha256}, not to {manifest.spec_sha256}"


def _problems_of_parquet(file: Path, rows: list[Row]) -> Iterator[str]:
    try:
        found = pq.read_table(file).to_pylist()
    except (OSError, pa.ArrowException) as error:
        yield f"{PARQUET} cannot be read: {error}"
        return
    if found != _table(rows).to_pylist():
        yield f"{PARQUET} does not hold the rows of {ROWS}"


def _problems_of_images(folder: Path, rows: list[Row]) -> Iterator[str]:
    present = {file.stem: file for file in sorted(folder.glob("*"))}
    wanted = {digest for _, digest in _derivatives(rows)}
    for digest in sorted(wanted - present.keys()):
        yield f"image {digest} is missing"
    for digest in sorted(present.keys() - wanted):
        yield f"{present[digest].name} belongs to no row"
    for digest in sorted(wanted & present.keys()):
        if sha256(present[digest].read_bytes()).hexdigest() != digest:
            yield f"{present[digest].name} does not have the hash in its name"


def _problems_of_card(file: Path, manifest: Manifest, rows: list[Row]) -> Iterator[str]:
    if not file.exists() or file.read_text(encoding="utf-8") != _card(manifest, rows):
        yield f"{CARD} does not describe these rows"
