"""What can be wrong with a dataset's folder, one function for each kind of thing that lies in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import file_digest
from itertools import zip_longest
from pathlib import Path

import msgspec
from msgspec import Struct

from adapters.datasets.layout import (
    IMAGES,
    LOG,
    MANIFEST,
    ROWS,
    STATEMENT,
    Images,
    Manifest,
    image_name,
    leaves,
    lines_of,
)
from adapters.datasets.parquet import lines_in
from adapters.datasets.statement import Head, Log, Statement
from commands.ports import Damaged
from domain.merkle import HASH_BYTES, root_of_hashes
from projections.rows import Row, decode, encode
from workers.witness.notes import PublicKey, log_name, open_checkpoint
from workers.witness.prefix import tree_over


class Problem(Struct, frozen=True):
    """What is wrong with `file`; where it is known, from which row to which (counted from 1), and
    from which byte up to, but not including, which. Row 0 and no bytes mean all of it."""

    file: str
    what: str
    row: int = 0
    last_row: int = 0
    bytes: tuple[int, int] | None = None

    def __str__(self) -> str:
        rows = f" row {self.row}" if self.row else ""
        rows += f" to {self.last_row}" if self.last_row > self.row else ""
        where = f" (bytes {self.bytes[0]} to {self.bytes[1]})" if self.bytes else ""
        return f"{self.file}{rows}{where}: {self.what}"


def of_files(folder: Path, digests: Mapping[str, str]) -> Iterator[Problem]:
    """Files that were signed and are missing or others, and files that were not signed."""
    present = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    for name, path in present.items():
        if path.is_symlink():
            yield Problem(name, "a link, not a file")
        elif path.is_file() and not _may_lie_there(name, digests):
            yield Problem(name, "not part of the dataset")
    for name, digest in digests.items():
        if not (folder / name).is_file():
            yield Problem(name, "missing")
        elif _digest(folder / name) != digest:
            yield Problem(name, "not the bytes that were signed")


def _may_lie_there(name: str, digests: Mapping[str, str]) -> bool:
    """Images are looked at beside the rows that name them."""
    return name in digests or name == STATEMENT or name.startswith(f"{IMAGES}/")


def of_damaged_rows(folder: Path, tables: Sequence[str]) -> Iterator[Problem]:
    """Which part of the rows is not what the tables hold, which must be whole."""
    wanted = (line + b"\n" for line in lines_in(folder / name for name in tables))
    first = last = at = 0
    span = (0, 0)
    with (folder / ROWS).open("rb") as found:
        for number, (line, want) in enumerate(zip_longest(found, wanted, fillvalue=b""), 1):
            if line != want:
                span = (span[0] if first else at, at + len(line))
                first, last = first or number, number
            at += len(line)
    yield Problem(ROWS, "not what was signed", first, last, span)


def of_claims(manifest: Manifest, statement: Statement) -> Iterator[Problem]:
    """Where the signed statement, the manifest and the spec in it contradict each other."""
    signed = statement.predicate
    pairs = {
        "root": (manifest.root, statement.root),
        "rows": (manifest.rows, signed.rows),
        "leaves": (manifest.rows + len(manifest.erased), signed.leaves),
        "stream": (Head(manifest.as_of, manifest.head_sha256), signed.stream),
        "spec": (manifest.spec_sha256, signed.spec_sha256),
        "spec in full": (manifest.spec.sha256, signed.spec_sha256),
        "projector": (manifest.projector, signed.projector),
        "ledger": (manifest.ledger, signed.ledger),
    }
    for name, (found, wanted) in pairs.items():
        if found != wanted:
            yield Problem(MANIFEST, f"its {name} is {found}, and the statement says {wanted}")


def of_rows(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Rows that are none, are not canonical, not in order, or not those of the root."""
    found: list[Problem] = []
    hashes = leaves(_checked(lines_of(folder), found), manifest.erased)
    try:
        root = root_of_hashes(hashes).hex()
    except (msgspec.DecodeError, ValueError) as error:
        yield Problem(ROWS, f"a line is no row: {error}")
        return
    yield from found
    if root != manifest.root:
        yield Problem(ROWS, f"the rows have the root {root}, and the manifest says {manifest.root}")


def _checked(lines: Iterable[bytes], found: list[Problem]) -> Iterator[tuple[str, bytes]]:
    """(case, line) of each; raises msgspec.DecodeError."""
    before = ""
    for number, line in enumerate(lines, 1):
        row = decode(line)
        if encode(row) != line:
            found.append(Problem(ROWS, "not in canonical form", number, number))
        if row.case <= before:
            found.append(Problem(ROWS, "not sorted by case, or twice", number, number))
        before = row.case
        yield row.case, line


def of_tables(folder: Path, tables: Sequence[str]) -> Iterator[Problem]:
    """The first row that Parquet does not have as the rows do."""
    held = lines_in(folder / name for name in tables)
    try:
        for number, (line, wanted) in enumerate(zip_longest(held, lines_of(folder)), 1):
            if line != wanted:
                yield Problem(", ".join(tables), f"not row {number} of {ROWS}", number, number)
                return
    except (OSError, ValueError, KeyError, msgspec.MsgspecError) as error:
        yield Problem(", ".join(tables), f"cannot be read: {error}")


def of_images(folder: Path, images: Images) -> Iterator[Problem]:
    """Images that a row names and that are missing or others; files that no row names."""
    images_folder = folder / IMAGES
    present = {file.relative_to(images_folder).as_posix() for file in images_folder.rglob("*")}
    named = set()
    for number, row in _numbered_rows(folder) if images == "copy" else ():
        for digest in (image.sha256 for image in row.images):
            name = next((name for name in _names_of(digest) if name in present), "")
            named.add(name)
            if not name:
                yield Problem(f"{IMAGES}/{_names_of(digest)[0]}", "missing", number, number)
            elif not _is_image(images_folder / name, digest):
                yield Problem(f"{IMAGES}/{name}", "not what its name says", number, number)
    for name in sorted(present - named):
        yield Problem(f"{IMAGES}/{name}", "not part of the dataset")


def _names_of(digest: str) -> tuple[str, str]:
    return f"{digest}.png", f"{digest}.webp"


def _is_image(file: Path, digest: str) -> bool:
    with file.open("rb") as opened:
        start = opened.read(12)
    return _digest(file) == digest and image_name(digest, start) == file.name


def of_log(
    folder: Path, manifest: Manifest, log: Log, heads: Sequence[bytes], witness: PublicKey
) -> Iterator[Problem]:
    """Whether the log's entries are under the witness's checkpoint, and every row's events in it."""
    entries = (folder / LOG).read_bytes()
    try:
        note = log.checkpoint.encode()
        checkpoint = open_checkpoint(note, log_name(manifest.ledger), witness)
        root = tree_over(entries, heads, checkpoint.size).root()
    except (Damaged, ValueError) as error:
        yield Problem(STATEMENT, f"the checkpoint in it: {error}")
        return
    if root != checkpoint.root:
        yield Problem(LOG, "not the log that the witness signed")
    if len(entries) != manifest.as_of * HASH_BYTES:
        yield Problem(LOG, f"{len(entries)} bytes are not {manifest.as_of} events")
    if manifest.as_of and entries[-HASH_BYTES:].hex() != manifest.head_sha256:
        yield Problem(LOG, f"event {manifest.as_of} has another hash than the manifest says")
    for number, row in _numbered_rows(folder):
        if any(not 0 < sequence <= manifest.as_of for sequence, _ in row.events):
            yield Problem(ROWS, "an event of it is not in the log", number, number)


def _numbered_rows(folder: Path) -> Iterator[tuple[int, Row]]:
    return ((number, decode(line)) for number, line in enumerate(lines_of(folder), 1))


def events_of(folder: Path) -> int:
    """How many events determined the rows."""
    return len({sequence for _, row in _numbered_rows(folder) for sequence, _ in row.events})


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()
