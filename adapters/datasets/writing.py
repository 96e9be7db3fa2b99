"""Writes a dataset's folder, row after row: all of it or nothing appears."""

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from adapters.datasets.card import Tally, card
from adapters.datasets.croissant import croissant
from adapters.datasets.layout import (
    CARD,
    CROISSANT,
    IMAGES,
    LOG,
    MANIFEST,
    ROWS,
    STATEMENT,
    Images,
    Manifest,
    Objects,
    Progress,
    image_name,
    manifest_bytes,
    manifest_of,
    pretty,
)
from adapters.datasets.parquet import SETTINGS, VERSION, Tables
from adapters.datasets.shards import Shards
from adapters.datasets.statement import Writer, log_of, open_statement, sign, state
from adapters.datasets.verifying import verify
from commands.ports import Damaged
from projections.builder import Dataset
from projections.rows import Row, decode
from workers.witness.notes import SigningKey
from workers.witness.prefix import Prefix

BATCH_ROWS = 32
Pictures = list[tuple[str, bytes]]


class Form(NamedTuple):
    """What is written beside the rows: images or only their names, WebDataset shards or none."""

    images: Images = "copy"
    webdataset: bool = False

    @property
    def needs_images(self) -> bool:
        return self.images == "copy" or self.webdataset


PLAIN = Form()
TAKEN = "{out} is there already and is not this dataset: choose another place"


def silent(done: int, rows: int) -> None:
    """Progress for nobody."""


async def write(
    dataset: Dataset,
    out: Path,
    objects: Objects,
    key: SigningKey,
    log: Prefix | None = None,
    form: Form = PLAIN,
    progress: Progress = silent,
) -> Manifest:
    """`objects(case, sha256)` gives a derivative's bytes; `log` reaches to the last event read, and
    is None where no witness saw it. Holds a row group of each split in memory, and no more images
    than those of 32 rows.

    A folder that holds this very dataset in this form already is left alone. Raises FileExistsError
    for any other, Damaged when an object is not what its hash says, and what `objects` raises.
    """
    manifest = manifest_of(dataset)
    if await asyncio.to_thread(_is_there, out, manifest, form):
        return manifest
    new = await asyncio.to_thread(_new_folder, out)
    try:
        tally = await _write_rows(new, dataset.encoded, objects, form, progress)
        await asyncio.to_thread(_write_about, new, manifest, tally, form, log, key)
        await asyncio.to_thread(new.rename, out)
    finally:
        await asyncio.to_thread(shutil.rmtree, new, ignore_errors=True)
    return manifest


def refuse_other(out: Path, manifest: Manifest) -> None:
    """Raises FileExistsError where `out` is anything but a folder of this very dataset."""
    file = out / MANIFEST
    same = file.exists() and file.read_bytes() == manifest_bytes(manifest)
    if out.exists() and not same:
        raise FileExistsError(TAKEN.format(out=out))


def _is_there(out: Path, manifest: Manifest, form: Form) -> bool:
    refuse_other(out, manifest)
    if not out.exists():
        return False
    if verify(out).whole:
        writer = open_statement((out / STATEMENT).read_bytes()).statement.predicate.writer
        if (writer.images, writer.webdataset) == form:
            return True
    raise FileExistsError(TAKEN.format(out=out))


def _new_folder(out: Path) -> Path:
    """Beside `out`, since only within one file system a rename is all or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    new.chmod(0o755)
    return new


# Rows, and all that is written with each


async def _write_rows(
    folder: Path, lines: Sequence[bytes], objects: Objects, form: Form, progress: Progress
) -> Tally:
    with _Rows(folder, form) as writing:
        for first in range(0, len(lines), BATCH_ROWS):
            batch = [(line, decode(line)) for line in lines[first : first + BATCH_ROWS]]
            rows = [row for _, row in batch] if form.needs_images else []
            pictures = [await _pictures(row, objects) for row in rows] or [[] for _ in batch]
            await asyncio.to_thread(writing.add, batch, pictures)
            progress(first + len(batch), len(lines))
        await asyncio.to_thread(writing.finish)
    return writing.tally


async def _pictures(row: Row, objects: Objects) -> Pictures:
    found = []
    for image in row.images:
        data = await objects(row.case, image.sha256)
        if sha256(data).hexdigest() != image.sha256:
            raise Damaged(f"object {image.sha256} of case {row.case} does not have that hash")
        found.append((image.sha256, data))
    return found


class _Rows(ExitStack):
    """Every file that grows with each row."""

    def __init__(self, folder: Path, form: Form) -> None:
        super().__init__()
        self.tally = Tally()
        self._rows = self.enter_context((folder / ROWS).open("wb"))
        self._tables = self.enter_context(Tables(folder))
        self._images = folder / IMAGES if form.images == "copy" else None
        if self._images:
            self._images.mkdir()
        self._shards = self.enter_context(Shards(folder)) if form.webdataset else None

    def add(self, batch: list[tuple[bytes, Row]], pictures: list[Pictures]) -> None:
        for (line, row), images in zip(batch, pictures, strict=True):
            self.tally.add(row)
            self._rows.write(line + b"\n")
            self._tables.add(row.split, line)
            if self._shards:
                self._shards.add(row.case, row.split, line, images)
            self._write_images(images)

    def _write_images(self, images: Pictures) -> None:
        if self._images:
            for digest, data in images:
                (self._images / image_name(digest, data)).write_bytes(data)

    def finish(self) -> None:
        """To be called only when all is well: what an error ends is thrown away."""
        self._tables.finish()


# What is said about them


def _write_about(
    folder: Path, manifest: Manifest, tally: Tally, form: Form, log: Prefix | None, key: SigningKey
) -> None:
    (folder / MANIFEST).write_bytes(manifest_bytes(manifest))
    (folder / CARD).write_text(card(manifest, tally, form.images), encoding="utf-8")
    if log:
        (folder / LOG).write_bytes(log.entries)
    described = pretty(croissant(manifest, tally.splits, dict(_digests(folder))))
    (folder / CROISSANT).write_bytes(described)
    writer = Writer(
        images=form.images, webdataset=form.webdataset, pyarrow=VERSION, parquet=SETTINGS
    )
    statement = state(manifest, dict(_digests(folder)), writer, log_of(log) if log else None)
    (folder / STATEMENT).write_bytes(sign(statement, key))


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    """SHA-256 (hex) of every file but the images, by path."""
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if file.is_file() and path.parts[0] != IMAGES:
            with file.open("rb") as opened:
                yield path.as_posix(), file_digest(opened, "sha256").hexdigest()
