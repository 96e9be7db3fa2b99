"""A row's proof is accepted by the auditor's program, and no byte of it may differ."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

import verify
from adapters.datasets import rowproof
from adapters.datasets.layout import STATEMENT
from adapters.datasets.statement import open_statement, sign
from adapters.datasets.writing import write
from adapters.storage.signing import FileSigningKey
from commands.ports import Missing
from domain.identity import case_code
from projections.builder import Dataset
from tests.adapters.datasets.conftest import KEY
from tests.givens import Given

Proof = dict[str, Any]


def proved(folder: Path, row: int = 1) -> bytes:
    return rowproof.prove(folder, str(row)).text().encode()


def written(proof: Proof) -> bytes:
    return (json.dumps(proof, indent=1, ensure_ascii=False) + "\n").encode()


def test_a_proof_of_each_row_is_accepted(folder: Path, dataset: Dataset) -> None:
    for number, row in enumerate(dataset.rows, 1):
        text = proved(folder, number)
        proof, root, name, size, sequences = verify.check_row(text)
        assert proof["row"].encode() == dataset.encoded[number - 1]
        assert (root, name) == (dataset.root, f"ictus/{dataset.ledger}")
        assert size > dataset.as_of
        assert sequences == [sequence for sequence, _ in row.events]


def test_a_row_is_found_by_number_case_and_code(folder: Path, dataset: Dataset) -> None:
    row = dataset.rows[1]
    by_number = rowproof.prove(folder, "2")
    assert rowproof.prove(folder, row.case) == by_number
    assert rowproof.prove(folder, case_code(UUID(row.case))) == by_number
    with pytest.raises(Missing, match="no row"):
        rowproof.prove(folder, "0")


def test_a_proof_shows_no_other_row(folder: Path, dataset: Dataset) -> None:
    text = proved(folder).decode()
    assert all(row.case not in text for row in dataset.rows[1:])


def test_no_byte_of_a_proof_may_differ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte is tried, with one bit of it changed; of what is signed every 16th, since each costs
    a signature."""
    monkeypatch.setattr(verify, "is_signed", cache(verify.is_signed))
    text, chance = proved(folder), Random(6)
    verify.check_row(text)
    start = text.index(b'"payload": "')
    signed = range(start + 12, text.index(b'"', start + 12))
    for at in (at for at in range(len(text)) if at not in signed or at % 16 == 0):
        wrong = bytearray(text)
        wrong[at] ^= 1 << chance.randrange(8)
        with pytest.raises(verify.Refuted):
            verify.check_row(bytes(wrong))


def another_row(proof: Proof, other: Proof) -> Proof:
    return proof | {"row": other["row"]}


def another_place(proof: Proof, other: Proof) -> Proof:
    return proof | {"leaf": other["leaf"]}


def another_s_events(proof: Proof, other: Proof) -> Proof:
    return proof | {"events": other["events"]}


def no_events(proof: Proof, other: Proof) -> Proof:
    return proof | {"events": []}


def one_event_less(proof: Proof, other: Proof) -> Proof:
    return proof | {"events": proof["events"][1:]}


def another_hash(proof: Proof, other: Proof) -> Proof:
    first = proof["events"][0] | {"sha256": other["events"][0]["sha256"]}
    return proof | {"events": [first, *proof["events"][1:]]}


def no_witness(proof: Proof, other: Proof) -> Proof:
    return proof | {"witness": "", "events": []}


@pytest.mark.parametrize(
    "forge",
    [
        another_row,
        another_place,
        another_s_events,
        no_events,
        one_event_less,
        another_hash,
        no_witness,
    ],
)
def test_a_forged_proof_is_refused(folder: Path, forge: Callable[[Proof, Proof], Proof]) -> None:
    mine, theirs = json.loads(proved(folder, 1)), json.loads(proved(folder, 2))
    with pytest.raises(verify.Refuted):
        verify.check_row(written(forge(mine, theirs)))


def test_the_keys_that_were_given_must_be_those_used(folder: Path) -> None:
    text = proved(folder)
    proof = json.loads(text)
    verify.check_row(text, proof["key"], proof["witness"])
    statement = open_statement((folder / STATEMENT).read_bytes()).statement
    (folder / STATEMENT).write_bytes(sign(statement, FileSigningKey(bytes(32))))
    with pytest.raises(verify.Refuted, match="another key than yours"):
        verify.check_row(proved(folder), proof["key"])


async def test_without_a_witness_the_row_is_proved_and_no_event(
    dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    await write(dataset, tmp_path / "set", given.object, KEY)
    _, root, name, size, sequences = verify.check_row(proved(tmp_path / "set"))
    assert (root, name, size, sequences) == (dataset.root, "", 0, [])


def test_a_case_s_proof_is_not_a_row_s(folder: Path) -> None:
    with pytest.raises(verify.Refuted, match="not the proof of a case"):
        verify.check(proved(folder))


def test_the_program_tells_what_it_proved(folder: Path, tmp_path: Path) -> None:
    file, text = tmp_path / "proof.json", proved(folder)
    file.write_bytes(text)
    proof = json.loads(text)
    alone = run(str(file))
    keyed = run(str(file), "--key", proof["key"], "--key", proof["witness"])
    assert (alone.returncode, keyed.returncode) == (0, 0), alone.stderr + keyed.stderr
    assert alone.stdout.count("TAKEN FROM THE PROOF ITSELF") == 2
    assert keyed.stdout.count("as you gave it") == 2
    assert proof["row"] in keyed.stdout
    file.write_bytes(text.replace(b"train", b"trail", 1).replace(b"test", b"tess", 1))
    assert run(str(file)).returncode == 4


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """As an auditor runs it, without any of our packages in reach."""
    return subprocess.run(
        [sys.executable, "-I", "-S", verify.__file__, *words], capture_output=True, text=True
    )
