"""A dataset's folder is all there or not at all, and the same bytes every time."""

import tarfile
from itertools import pairwise
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from adapters.datasets import parquet, shards
from adapters.datasets.layout import LOG, STATEMENT, Manifest, lines_of, read_manifest
from adapters.datasets.parquet import lines_in, rendered, restored
from adapters.datasets.verifying import verify
from adapters.datasets.writing import BATCH_ROWS, Form, write
from adapters.storage.memory import MemoryLedger
from commands.ports import Damaged, Unavailable
from projections.builder import Dataset, build
from projections.rows import decode
from projections.spec import Spec
from tests.adapters.datasets.conftest import KEY, Writing, contents, manifest_says
from tests.givens import Given
from training.dataset import read
from workers.witness.prefix import Prefix

EVERYTHING = Form("copy", webdataset=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_what_was_written_verifies(folder: Path, dataset: Dataset) -> None:
    report = verify(folder)
    assert report.problems == ()
    assert report.whole
    assert (report.root, report.rows, report.erased) == (dataset.root, len(dataset.rows), 0)
    assert report.events == len({event for row in dataset.rows for event in row.events})
    assert report.unwitnessed == 0
    assert names(folder.parent) == ["set"]
    assert list(lines_of(folder)) == dataset.encoded
    assert len(list((folder / "images").iterdir())) == sum(len(row.images) for row in dataset.rows)


@pytest.mark.parametrize("images", ["copy", "reference"])
@pytest.mark.parametrize("webdataset", [True, False])
async def test_writing_twice_gives_the_same_bytes(
    written: Writing, images: str, webdataset: bool
) -> None:
    form = msgspec.convert((images, webdataset), Form)
    first, again = await written("first", form), await written("again", form)
    assert contents(first) == contents(again)
    assert verify(first).whole


async def test_only_the_statement_depends_on_when_it_was_written(
    folder: Path, dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    await write(dataset, tmp_path / "unwitnessed", given.object, KEY)
    before, after = contents(folder), contents(tmp_path / "unwitnessed")
    differ = {name for name in before if before[name] != after.get(name)}
    assert differ == {STATEMENT, LOG}
    report = verify(tmp_path / "unwitnessed")
    assert report.whole
    assert report.unwitnessed == report.events > 0


async def test_parquet_holds_the_rows_a_file_per_split(folder: Path, dataset: Dataset) -> None:
    files = sorted((folder / "parquet").iterdir())
    assert [file.stem for file in files] == sorted({row.split for row in dataset.rows})
    records = [record for file in files for record in pq.read_table(file).to_pylist()]
    rows = {row.case: row for row in dataset.rows}
    assert {record["case"] for record in records} == rows.keys()
    for record in records:
        row = rows[record["case"]]
        assert [image["sha256"] for image in record["images"]] == [i.sha256 for i in row.images]
        assert {one["code"]: one["value"] for one in record["context"]} == row.context
        assert (record["label"] and record["label"]["cause"]) == (row.label and row.label.cause)
    assert list(lines_in(files)) == dataset.encoded


async def test_a_row_comes_back_from_parquet_s_form(dataset: Dataset) -> None:
    for line in dataset.encoded:
        plain = msgspec.json.decode(line)
        assert msgspec.json.encode(restored(rendered(plain)), order="sorted") == line


async def test_the_batches_in_which_rows_are_written_change_nothing(
    written: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = await written("once")
    monkeypatch.setattr("adapters.datasets.writing.BATCH_ROWS", 1)
    assert contents(await written("by-one")) == contents(once)


async def test_row_groups_are_cut_by_their_number_of_rows(
    written: Writing, monkeypatch: pytest.MonkeyPatch, dataset: Dataset
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 2)
    folder = await written("small-groups")
    for file in (folder / "parquet").iterdir():
        metadata = pq.read_metadata(file)
        groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        assert groups[:-1] == [2] * (len(groups) - 1)
    assert list(lines_in((folder / "parquet").iterdir())) == dataset.encoded


async def test_shards_are_tar_files_of_nobody_and_no_time(
    written: Writing, dataset: Dataset, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS_MAX", 2)
    folder = await written("sharded", EVERYTHING)
    found: dict[str, bytes] = {}
    for shard in sorted((folder / "shards").iterdir()):
        with tarfile.open(shard) as opened:
            members = opened.getmembers()
            assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in members} == {
                (0, 0, 0, "", "")
            }
            samples = [member.name.split(".")[0] for member in members]
            assert sum(a != b for a, b in pairwise(samples)) < 2
            for member in members:
                file = opened.extractfile(member)
                assert file
                found[member.name] = file.read()
    for line, row in zip(dataset.encoded, dataset.rows, strict=True):
        assert found.pop(f"{row.case}.json") == line
        for number, image in enumerate(row.images):
            data = await given.object(row.case, image.sha256)
            assert found.pop(f"{row.case}.{number}.png") == data
    assert found == {}


async def test_images_that_are_only_named_are_not_fetched(
    dataset: Dataset, log: Prefix, tmp_path: Path
) -> None:
    async def unwanted(case: str, sha256: str) -> bytes:
        raise AssertionError("nothing has to be fetched")

    folder = tmp_path / "named"
    await write(dataset, folder, unwanted, KEY, log, Form("reference"))
    assert not (folder / "images").exists()
    assert verify(folder).images == "reference"


async def test_progress_is_told_up_to_the_last_row(
    dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, rows: int) -> None:
        told.append((done, rows))

    await write(dataset, tmp_path / "set", given.object, KEY, progress=tell)
    assert told[-1] == (len(dataset.rows), len(dataset.rows))
    assert all(later[0] - done[0] <= BATCH_ROWS for done, later in pairwise(told))


async def test_a_dataset_without_rows_is_one_too(given: Given, tmp_path: Path) -> None:
    await given.person()
    empty = await build(given.ledger, Spec())
    await write(empty, tmp_path / "set", given.object, KEY)
    assert verify(tmp_path / "set").whole


async def test_the_same_dataset_there_already_is_left_alone(folder: Path, dataset: Dataset) -> None:
    async def unwanted(case: str, sha256: str) -> bytes:
        raise AssertionError("nothing has to be fetched again")

    before = contents(folder)
    assert (await write(dataset, folder, unwanted, KEY)).root == dataset.root
    assert contents(folder) == before


async def test_the_same_dataset_in_another_form_is_not_taken_for_it(
    folder: Path, dataset: Dataset, given: Given
) -> None:
    with pytest.raises(FileExistsError):
        await write(dataset, folder, given.object, KEY, form=EVERYTHING)


async def test_another_dataset_is_not_overwritten(
    folder: Path, ledger: MemoryLedger, given: Given
) -> None:
    before = contents(folder)
    await given.ward(1)
    with pytest.raises(FileExistsError):
        await write(await build(ledger, Spec()), folder, given.object, KEY)
    assert contents(folder) == before


async def test_a_damaged_copy_is_not_taken_for_the_dataset(
    folder: Path, dataset: Dataset, given: Given
) -> None:
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(FileExistsError):
        await write(dataset, folder, given.object, KEY)


async def test_an_object_with_another_hash_leaves_nothing_behind(
    dataset: Dataset, tmp_path: Path
) -> None:
    async def wrong(case: str, sha256: str) -> bytes:
        return b"something else"

    with pytest.raises(Damaged):
        await write(dataset, tmp_path / "set", wrong, KEY)
    assert names(tmp_path) == []


async def test_a_store_that_goes_away_leaves_nothing_behind(
    dataset: Dataset, given: Given, tmp_path: Path
) -> None:
    async def going(case: str, sha256: str) -> bytes:
        if case == dataset.rows[-1].case:
            raise Unavailable("away")
        return await given.object(case, sha256)

    with pytest.raises(Unavailable):
        await write(dataset, tmp_path / "set", going, KEY)
    assert names(tmp_path) == []


async def test_training_reads_it(folder: Path, dataset: Dataset) -> None:
    found = read(folder)
    assert list(found.rows) == dataset.rows
    assert found.manifest.root == dataset.root


async def test_the_manifest_says_what_it_was_made_from(folder: Path, dataset: Dataset) -> None:
    manifest: Manifest = read_manifest(folder)
    assert manifest == manifest_says(dataset)
    assert [decode(line) for line in lines_of(folder)] == dataset.rows
