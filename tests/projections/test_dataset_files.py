"""A dataset's directory is all there or not at all, the same bytes every time, and checks itself."""

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from adapters.storage.dataset_files import PARQUET, Manifest, verify, write
from adapters.storage.memory import MemoryLedger
from commands.ports import Damaged, Unavailable
from projections.builder import Dataset, build
from projections.rows import decode
from projections.spec import Spec
from tests.givens import Given
from training.dataset import read


@pytest.fixture
async def dataset(ledger: MemoryLedger, given: Given) -> Dataset:
    await given.ward()
    return await build(ledger, Spec())


@pytest.fixture
async def folder(dataset: Dataset, given: Given, tmp_path: Path) -> Path:
    await write(dataset, tmp_path / "data" / "set", given.object)
    return tmp_path / "data" / "set"


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_was_written_verifies(folder: Path, dataset: Dataset) -> None:
    assert verify(folder) == []
    assert names(folder.parent) == ["set"]
    lines = (folder / "rows.ndjson").read_bytes().splitlines()
    assert [decode(line) for line in lines] == dataset.rows
    assert len(list((folder / "images").iterdir())) == sum(len(row.images) for row in dataset.rows)


async def test_writing_twice_gives_the_same_bytes(
    folder: Path, dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    await write(dataset, tmp_path / "again", given.object)
    assert contents(tmp_path / "again") == contents(folder)


async def test_parquet_holds_the_rows(folder: Path, dataset: Dataset) -> None:
    records = pq.read_table(folder / PARQUET).to_pylist()
    assert [record["case"] for record in records] == [row.case for row in dataset.rows]
    for record, row in zip(records, dataset.rows, strict=True):
        assert [image["sha256"] for image in record["images"]] == [i.sha256 for i in row.images]
        assert {one["code"]: one["value"] for one in record["context"]} == row.context
        assert (record["label"] and record["label"]["cause"]) == (row.label and row.label.cause)


async def test_the_same_dataset_there_already_is_left_alone(folder: Path, dataset: Dataset) -> None:
    async def unwanted(case: str, sha256: str) -> bytes:
        raise AssertionError("nothing has to be fetched again")

    before = contents(folder)
    assert (await write(dataset, folder, unwanted)).root == dataset.root
    assert contents(folder) == before


async def test_another_dataset_is_not_overwritten(
    folder: Path, ledger: MemoryLedger, given: Given
) -> None:
    before = contents(folder)
    await given.ward(1)
    with pytest.raises(FileExistsError):
        await write(await build(ledger, Spec()), folder, given.object)
    assert contents(folder) == before


async def test_a_damaged_copy_is_not_taken_for_the_dataset(
    folder: Path, dataset: Dataset, given: Given
) -> None:
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(FileExistsError):
        await write(dataset, folder, given.object)


async def test_an_object_with_another_hash_leaves_nothing_behind(
    dataset: Dataset, tmp_path: Path
) -> None:
    async def wrong(case: str, sha256: str) -> bytes:
        return b"something else"

    with pytest.raises(Damaged):
        await write(dataset, tmp_path / "set", wrong)
    assert names(tmp_path) == []


async def test_a_store_that_goes_away_leaves_nothing_behind(
    dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    async def going(case: str, sha256: str) -> bytes:
        if case == dataset.rows[-1].case:
            raise Unavailable("away")
        return await given.object(case, sha256)

    with pytest.raises(Unavailable):
        await write(dataset, tmp_path / "set", going)
    assert names(tmp_path) == []


async def test_every_file_is_guarded(folder: Path) -> None:
    for name, data in contents(folder).items():
        middle = len(data) // 2
        flipped = bytes([data[middle] ^ 1])
        (folder / name).write_bytes(data[:middle] + flipped + data[middle + 1 :])
        assert verify(folder) != [], name
        (folder / name).write_bytes(data)
    (folder / "images" / "stranger.png").write_bytes(b"")
    assert verify(folder) == ["stranger.png belongs to no row"]


def test_what_is_no_dataset_is_said_so(tmp_path: Path) -> None:
    (problem,) = verify(tmp_path)
    assert "cannot be read as a dataset" in problem


async def test_training_reads_it(folder: Path, dataset: Dataset) -> None:
    found = read(folder)
    assert list(found.rows) == dataset.rows
    assert found.manifest.root == dataset.root


async def test_the_manifest_says_what_it_was_made_from(folder: Path, dataset: Dataset) -> None:

    manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    assert manifest == Manifest(
        root=dataset.root,
        rows=len(dataset.rows),
        as_of=dataset.as_of,
        head_sha256=dataset.head_sha256,
        spec=Spec(),
        spec_sha256=Spec().sha256,
        projector="rows@2",
        ledger=dataset.ledger,
    )
