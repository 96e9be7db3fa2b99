"""One row with proof: that it is in the dataset that was signed, and its events in the ledger's log.

Shows no other row. `verify.py` in the root of the repository checks it with nothing but Python.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, to_builtins

from adapters.datasets.layout import LOG, STATEMENT, leaves, lines_of, read_manifest
from adapters.datasets.statement import Log, open_statement
from adapters.storage.signing import parse_verifier_key
from commands.ports import Missing
from domain.identity import case_code
from domain.merkle import HASH_BYTES, Tree, leaf_hash
from projections.rows import Row, decode
from workers.witness.notes import open_checkpoint
from workers.witness.prefix import split, tree_over

FORMAT = "ictus-row-proof-v1"


class RowEvent(Struct, frozen=True):
    """`sha256` (hex) of the event's payload; `path` in base64, leaf upwards, to the checkpoint."""

    sequence: int
    sha256: str
    path: list[str]


class RowProof(Struct, frozen=True):
    """`row` is the row's exact text, `leaf` its place among the root's leaves, from 0. `events` are
    empty where no witness saw them."""

    format: str
    key: str
    witness: str
    statement: dict[str, Any]
    row: str
    leaf: int
    path: list[str]
    events: list[RowEvent]

    def text(self) -> str:
        """As it is written and as verify.py demands it, to the byte."""
        return json.dumps(to_builtins(self), indent=1, ensure_ascii=False) + "\n"


def prove(folder: Path, wanted: str) -> RowProof:
    """`wanted` is a row's number, counted from 1, or its case: UUID, or the code on the card.

    For a folder that verifies. Raises Missing for a row that is not there.
    """
    row, line = _found(folder, wanted)
    manifest = read_manifest(folder)
    data = (folder / STATEMENT).read_bytes()
    signed = open_statement(data)
    rows = ((decode(each).case, each) for each in lines_of(folder))
    hashes = b"".join(leaves(rows, manifest.erased))
    leaf = list(split(hashes)).index(leaf_hash(line))
    log = signed.statement.predicate.log
    return RowProof(
        format=FORMAT,
        key=signed.key,
        witness=log.key if log else "",
        statement=msgspec.json.decode(data),
        row=line.decode(),
        leaf=leaf,
        path=_encoded(Tree(hashes).path(leaf)),
        events=_events(folder, row, log) if log else [],
    )


def _found(folder: Path, wanted: str) -> tuple[Row, bytes]:
    for number, line in enumerate(lines_of(folder), 1):
        row = decode(line)
        if wanted in (str(number), row.case) or wanted.upper() == case_code(UUID(row.case)):
            return row, line
    raise Missing(f"no row `{wanted}`: give its number, from 1, or its case")


def _events(folder: Path, row: Row, log: Log) -> list[RowEvent]:
    entries = (folder / LOG).read_bytes()
    name, key = parse_verifier_key(log.key)
    size = open_checkpoint(log.checkpoint.encode(), name, key).size
    tree = tree_over(entries, [b64decode(head) for head in log.rest], size)
    return [_event(entries, tree, sequence) for sequence, _ in row.events]


def _event(entries: bytes, tree: Tree, sequence: int) -> RowEvent:
    entry = entries[(sequence - 1) * HASH_BYTES : sequence * HASH_BYTES]
    return RowEvent(sequence, entry.hex(), _encoded(tree.path(sequence - 1)))


def _encoded(path: Iterable[bytes]) -> list[str]:
    return [b64encode(head).decode() for head in path]
