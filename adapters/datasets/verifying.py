"""Checks a dataset's folder with what lies in it, and names what is wrong: file, row and bytes.

Signature first, then every file by its hash, then what the files say: the rows against the root,
tables and images against the rows, the rows' events against the log that the witness signed.
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from adapters.datasets import checks
from adapters.datasets.checks import Problem
from adapters.datasets.layout import LOG, MANIFEST, ROWS, STATEMENT, TABLES, Manifest, read_manifest
from adapters.datasets.statement import Signed, open_statement
from adapters.storage.signing import parse_verifier_key
from commands.ports import Damaged, Missing
from workers.witness.notes import PublicKey


class Report(Struct, frozen=True, kw_only=True):
    """`events` are those that determined the rows; the `unwitnessed` ones no signed checkpoint
    covers. `key` signed the folder, `witness` the checkpoint. `live` says which ledger it was held
    against, if any: only that knows how many rows were erased since."""

    whole: bool
    problems: tuple[Problem, ...]
    root: str = ""
    rows: int = 0
    erased: int = 0
    erased_since: int = 0
    events: int = 0
    unwitnessed: int = 0
    images: str = ""
    key: str = ""
    witness: str = ""
    live: str = ""

    def held_against(self, live: str, found: Iterable[Problem]) -> "Report":
        problems = (*self.problems, *found)
        return replace(self, live=live, problems=problems, whole=not problems)


def verify(folder: Path, key: PublicKey | None = None, witness: PublicKey | None = None) -> Report:
    """`key` is the one that signs datasets, `witness` the one that signs checkpoints; None takes
    what the folder names. Raises Missing when there is no folder."""
    if not folder.is_dir():
        raise Missing(f"there is no folder {folder}")
    try:
        signed = open_statement((folder / STATEMENT).read_bytes(), key)
    except FileNotFoundError:
        return Report(whole=False, problems=(Problem(STATEMENT, "missing: nobody vouches"),))
    except Damaged as damaged:
        return Report(whole=False, problems=(Problem(STATEMENT, str(damaged)),))
    return _report(folder, signed, witness)


def _report(folder: Path, signed: Signed, witness: PublicKey | None) -> Report:
    statement, log = signed.statement, signed.statement.predicate.log
    problems = tuple(_problems(folder, signed, witness))
    rows_are_good = all(problem.file != ROWS for problem in problems)
    events = checks.events_of(folder) if rows_are_good else 0
    return Report(
        whole=not problems,
        problems=problems,
        root=statement.root,
        rows=statement.predicate.rows,
        erased=statement.predicate.leaves - statement.predicate.rows,
        events=events,
        unwitnessed=0 if log else events,
        images=statement.predicate.writer.images,
        key=signed.key,
        witness=log.key if log else "",
    )


def _problems(folder: Path, signed: Signed, witness: PublicKey | None) -> Iterator[Problem]:
    files = signed.statement.files
    tables = [name for name in sorted(files) if name.startswith(f"{TABLES}/")]
    of_files = list(checks.of_files(folder, files))
    bad = {problem.file for problem in of_files}
    for problem in of_files:
        can_locate = problem.file == ROWS and (folder / ROWS).is_file() and not bad & set(tables)
        yield from checks.of_damaged_rows(folder, tables) if can_locate else [problem]
    if MANIFEST not in bad:
        manifest = read_manifest(folder)
        yield from checks.of_claims(manifest, signed.statement)
        if ROWS not in bad:
            yield from _of_contents(folder, manifest, signed, witness, bad)


def _of_contents(
    folder: Path, manifest: Manifest, signed: Signed, witness: PublicKey | None, bad: set[str]
) -> Iterator[Problem]:
    files, predicate = signed.statement.files, signed.statement.predicate
    of_rows = list(checks.of_rows(folder, manifest))
    yield from of_rows
    if of_rows:
        return
    tables = [name for name in sorted(files) if name.startswith(f"{TABLES}/")]
    if not bad & set(tables):
        yield from checks.of_tables(folder, tables)
    yield from checks.of_images(folder, predicate.writer.images)
    if predicate.log and LOG not in bad:
        heads = [b64decode(head) for head in predicate.log.rest]
        key = witness or parse_verifier_key(predicate.log.key)[1]
        yield from checks.of_log(folder, manifest, predicate.log, heads, key)
