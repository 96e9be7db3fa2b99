"""A dataset is refused whole when one bit of it is not what its manifest promises."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from projections.rows import Row, RowImage
from training import dataset
from training.dataset import DatasetRefused

PICTURES = (b"first derivative", b"second derivative", b"third derivative")


def row(case: str, picture: bytes) -> Row:
    image = RowImage(
        sha256=sha256(picture).hexdigest(),
        width=96,
        height=96,
        modality="mri-dwi",
        channel="screenshot",
        profile="ingest-1:test",
    )
    return Row(
        case=case,
        site="demo",
        patient=case,
        origin="synthetic",
        images=(image,),
        context={},
        label=None,
        split="train",
        events=(),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [row(case, picture) for case, picture in zip("cab", PICTURES, strict=True)]
    dataset.write_images(tmp_path, {sha256(data).hexdigest(): data for data in PICTURES})
    dataset.write(tmp_path, rows, {"cases": 3})
    return tmp_path


def test_what_was_written_is_read_in_the_order_of_cases(folder: Path) -> None:
    data = dataset.read(folder)
    assert [one.case for one in data.rows] == ["a", "b", "c"]
    assert data.derivative(data.rows[0].images[0].sha256) == PICTURES[1]
    assert data.manifest.spec == {"cases": 3}


def drop_a_row(folder: Path) -> None:
    file = folder / dataset.ROWS_FILE
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[1:]))


def swap_two_rows(folder: Path) -> None:
    file = folder / dataset.ROWS_FILE
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[::-1]))


def space_a_row(folder: Path) -> None:
    file = folder / dataset.ROWS_FILE
    file.write_bytes(file.read_bytes().replace(b",", b", ", 1))


def relabel_a_row(folder: Path) -> None:
    file = folder / dataset.ROWS_FILE
    file.write_bytes(file.read_bytes().replace(b'"train"', b'"test"', 1))


def alter_an_image(folder: Path) -> None:
    next((folder / dataset.IMAGES).iterdir()).write_bytes(b"another derivative")


def lose_an_image(folder: Path) -> None:
    next((folder / dataset.IMAGES).iterdir()).unlink()


def break_the_manifest(folder: Path) -> None:
    (folder / dataset.MANIFEST_FILE).write_bytes(b"{")


def lose_the_rows(folder: Path) -> None:
    (folder / dataset.ROWS_FILE).unlink()


@pytest.mark.parametrize(
    "damage",
    [
        drop_a_row,
        swap_two_rows,
        space_a_row,
        relabel_a_row,
        alter_an_image,
        lose_an_image,
        break_the_manifest,
        lose_the_rows,
    ],
)
def test_a_damaged_dataset_is_refused(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(DatasetRefused):
        dataset.read(folder)
