"""Whatever is changed in a dataset's folder is found and named."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import UUID

import msgspec
import pytest

from adapters.datasets import rowproof
from adapters.datasets.layout import LOG, MANIFEST, ROWS, STATEMENT, pretty
from adapters.datasets.statement import open_statement, sign
from adapters.datasets.verifying import Report, verify
from adapters.datasets.writing import Form, write
from adapters.storage.memory import MemoryLedger
from adapters.storage.signing import FileSigningKey
from commands.ports import Damaged, Missing
from projections.builder import Dataset, build
from tests.adapters.datasets.conftest import KEY, SPEC, WITNESS, Writing, contents
from tests.givens import Given
from tests.workers.witnessing import flipped
from verify import check_row

STRANGER = FileSigningKey(bytes(32))
FLIPS_PER_FILE = 8


@pytest.fixture
async def full(written: Writing) -> Path:
    """With everything that a folder may hold."""
    return await written("full", Form("copy", webdataset=True))


def files_of(report: Report) -> set[str]:
    return {problem.file for problem in report.problems}


def test_a_flipped_bit_anywhere_is_found_and_the_file_named(full: Path) -> None:
    chance = Random(4)
    for name, data in contents(full).items():
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(FLIPS_PER_FILE))}
        for at in sorted(places):
            (full / name).write_bytes(flipped(data, at, chance.randrange(8)))
            report = verify(full)
            assert not report.whole, (name, at)
            assert files_of(report) == {name}, (name, at)
        (full / name).write_bytes(data)
    assert verify(full).whole


def test_a_file_that_was_cut_or_lengthened_is_found_and_named(full: Path) -> None:
    chance = Random(5)
    for name, data in contents(full).items():
        for wrong in (b"", data[: chance.randrange(len(data))], data[:-1], data + b"\n"):
            (full / name).write_bytes(wrong)
            assert files_of(verify(full)) == {name}, name
        (full / name).write_bytes(data)


def test_a_file_that_is_gone_is_named(full: Path) -> None:
    for name, data in contents(full).items():
        (full / name).unlink()
        assert files_of(verify(full)) == {name}
        (full / name).write_bytes(data)


@pytest.mark.parametrize(
    "name",
    ["stranger.txt", "images/stranger.png", "images/deep/er.png", "parquet/x.parquet", "new/file"],
)
def test_a_file_too_many_is_named(full: Path, name: str) -> None:
    (full / name).parent.mkdir(exist_ok=True)
    (full / name).write_bytes(b"more")
    assert name in files_of(verify(full))
    assert all(name.startswith(file) for file in files_of(verify(full)))


def test_a_link_is_not_a_file(full: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((full / ROWS).read_bytes())
    (full / ROWS).unlink()
    (full / ROWS).symlink_to(tmp_path / "elsewhere")
    assert files_of(verify(full)) == {ROWS}


def test_two_images_that_change_places_are_both_named(full: Path) -> None:
    one, other = sorted((full / "images").iterdir())[:2]
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0])
    one.write_bytes(swapped[1])
    assert files_of(verify(full)) == {f"images/{one.name}", f"images/{other.name}"}


def test_an_image_under_another_kind_s_name_is_named(full: Path) -> None:
    one = min((full / "images").iterdir())
    one.rename(one.with_suffix(".webp"))
    assert files_of(verify(full)) == {f"images/{one.stem}.webp"}


# Rows


async def test_a_row_erased_since_leaves_its_hash_and_the_old_root_verifies(
    dataset: Dataset, ledger: MemoryLedger, given: Given, tmp_path: Path
) -> None:
    for row in dataset.rows[1:4:2]:
        await given.erased(UUID(row.case))
    again = await build(ledger, SPEC, dataset.as_of)
    assert again.root == dataset.root
    await write(again, tmp_path / "set", given.object, KEY)
    report = verify(tmp_path / "set")
    assert (report.whole, report.rows, report.erased) == (True, len(dataset.rows) - 2, 2)
    for number in range(1, report.rows + 1):
        proof = rowproof.prove(tmp_path / "set", str(number)).text().encode()
        assert check_row(proof)[1] == dataset.root


def test_a_changed_row_is_named_with_its_bytes(folder: Path, dataset: Dataset) -> None:
    lines = (folder / ROWS).read_bytes().splitlines(keepends=True)
    starts = [sum(len(line) for line in lines[:number]) for number in range(len(lines) + 1)]
    for number in range(len(lines)):
        changed = [*lines]
        changed[number] = flipped(changed[number], 20)
        (folder / ROWS).write_bytes(b"".join(changed))
        (problem,) = verify(folder).problems
        assert (problem.row, problem.last_row) == (number + 1, number + 1)
        assert problem.bytes == (starts[number], starts[number + 1])


def test_a_row_left_out_is_named(folder: Path) -> None:
    lines = (folder / ROWS).read_bytes().splitlines(keepends=True)
    (folder / ROWS).write_bytes(b"".join(lines[:2] + lines[3:]))
    (problem,) = verify(folder).problems
    assert (problem.file, problem.row, problem.last_row) == (ROWS, 3, len(lines))


def test_when_rows_and_tables_are_damaged_both_are_named(folder: Path) -> None:
    table = min((folder / "parquet").iterdir())
    for file in (folder / ROWS, table):
        file.write_bytes(flipped(file.read_bytes(), 30))
    assert files_of(verify(folder)) == {ROWS, f"parquet/{table.name}"}


# What a signer who lies, or errs, would have signed

Lie = Callable[[Path], str]


def change_a_row(folder: Path) -> str:
    file = folder / ROWS
    file.write_bytes(file.read_bytes().replace(b'"demo"', b'"site"', 1))
    return ROWS


def space_a_row(folder: Path) -> str:
    file = folder / ROWS
    file.write_bytes(file.read_bytes().replace(b",", b", ", 1))
    return ROWS


def swap_two_rows(folder: Path) -> str:
    file = folder / ROWS
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[::-1]))
    return ROWS


def break_a_row(folder: Path) -> str:
    file = folder / ROWS
    file.write_bytes(b"{" + file.read_bytes())
    return ROWS


def empty_a_table(folder: Path) -> str:
    file = min((folder / "parquet").iterdir())
    file.write_bytes(b"")
    return f"parquet/{file.name}"


def swap_two_tables(folder: Path) -> str:
    one, other = sorted((folder / "parquet").iterdir())[:2]
    one.write_bytes(other.read_bytes())
    return f"parquet/{one.name}"


def cut_the_log(folder: Path) -> str:
    file = folder / LOG
    file.write_bytes(file.read_bytes()[:-32])
    return STATEMENT


def forge_the_log(folder: Path) -> str:
    file = folder / LOG
    file.write_bytes(flipped(file.read_bytes(), 40))
    return LOG


def claim_another_event(folder: Path) -> str:
    file = folder / MANIFEST
    manifest = msgspec.json.decode(file.read_bytes())
    file.write_bytes(pretty(manifest | {"as_of": manifest["as_of"] - 1}))
    return MANIFEST


def claim_another_spec(folder: Path) -> str:
    file = folder / MANIFEST
    manifest = msgspec.json.decode(file.read_bytes())
    file.write_bytes(pretty(manifest | {"spec": manifest["spec"] | {"salt": "another"}}))
    return MANIFEST


@pytest.mark.parametrize(
    "lie",
    [
        change_a_row,
        space_a_row,
        swap_two_rows,
        break_a_row,
        empty_a_table,
        swap_two_tables,
        cut_the_log,
        forge_the_log,
        claim_another_event,
        claim_another_spec,
    ],
)
def test_what_is_signed_but_untrue_is_found(folder: Path, lie: Lie) -> None:
    named = lie(folder)
    statement = open_statement((folder / STATEMENT).read_bytes()).statement
    present = contents(folder)
    subjects = tuple(
        msgspec.structs.replace(each, digest={"sha256": sha256(present[each.name]).hexdigest()})
        if each.name in present
        else each
        for each in statement.subject
    )
    lying = msgspec.structs.replace(statement, subject=subjects)
    (folder / STATEMENT).write_bytes(sign(lying, KEY))
    found = files_of(verify(folder))
    assert any(named in file for file in found), found


# Keys


def test_the_keys_that_were_given_must_be_the_signers(folder: Path) -> None:
    assert verify(folder, KEY, WITNESS).whole
    assert files_of(verify(folder, STRANGER, WITNESS)) == {STATEMENT}
    (problem,) = verify(folder, KEY, STRANGER).problems
    assert problem.file == STATEMENT
    assert "checkpoint" in problem.what


def test_a_folder_signed_anew_by_a_stranger_is_not_taken_for_ours(folder: Path) -> None:
    statement = open_statement((folder / STATEMENT).read_bytes()).statement
    (folder / STATEMENT).write_bytes(sign(statement, STRANGER))
    assert verify(folder).key != ""
    (problem,) = verify(folder, KEY).problems
    assert "another key" in problem.what


def test_the_witness_s_own_key_does_not_sign_datasets_under_its_name(folder: Path) -> None:
    data = (folder / STATEMENT).read_bytes()
    key = open_statement(data, KEY).key
    with pytest.raises(Damaged):
        open_statement(data.replace(b"/datasets+", b"/dataset_+"))
    assert key.split("+")[0].endswith("/datasets")


def test_what_is_no_dataset_is_said_so(tmp_path: Path) -> None:
    (problem,) = verify(tmp_path).problems
    assert (problem.file, "nobody vouches" in problem.what) == (STATEMENT, True)
    with pytest.raises(Missing):
        verify(tmp_path / "nowhere")
