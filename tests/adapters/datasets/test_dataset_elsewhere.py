"""Other people's tools open a dataset's folder: Croissant's, Hugging Face's, another pyarrow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapters.datasets import parquet
from adapters.datasets.layout import CROISSANT
from projections.builder import Dataset
from tests.adapters.datasets.conftest import contents
from tests.workers.witnessing import flipped

CROISSANT_READER = """
import json, sys
import mlcroissant
read = mlcroissant.Dataset(jsonld=sys.argv[1])
issues = read.metadata.ctx.issues
plain = lambda value: value.decode() if isinstance(value, bytes) else str(value)
records = {s.id: list(read.records(s.id)) for s in read.metadata.record_sets}
json.dump({
    "errors": sorted(issues.errors), "warnings": sorted(issues.warnings),
    "version": str(read.metadata.ctx.conforms_to), "records": records,
}, sys.stdout, default=plain)
"""
HUGGING_FACE_READER = """
import json, sys
import datasets
loaded = datasets.load_dataset(sys.argv[1])
json.dump({split: list(rows) for split, rows in loaded.items()}, sys.stdout)
"""


def read_by(program: str, *words: object, home: Path) -> Any:
    """What a program of a process of its own prints; it reaches no network."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        env=os.environ | offline,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_croissant_s_own_library_finds_nothing_wrong_and_reads_the_rows(
    folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    read = read_by(CROISSANT_READER, folder / CROISSANT, home=tmp_path)
    assert (read["errors"], read["version"]) == ([], "CroissantVersion.V_1_1")
    assert all("is recommended" in warning for warning in read["warnings"])
    for split, records in read["records"].items():
        rows = [row for row in dataset.rows if row.split == split]
        assert [record[f"{split}/case"] for record in records] == [row.case for row in rows]
        for record, row in zip(records, rows, strict=True):
            images = record[f"{split}/images"]
            assert [i[f"{split}/images/sha256"] for i in images] == [i.sha256 for i in row.images]
            cause = record[f"{split}/label"][f"{split}/label/cause"]
            assert cause == (row.label.cause if row.label else None)
            events = record[f"{split}/events"]
            assert [e[f"{split}/events/sequence"] for e in events] == [s for s, _ in row.events]
    assert sum(map(len, read["records"].values())) == len(dataset.rows)


def test_croissant_s_own_library_refuses_a_changed_table(folder: Path, tmp_path: Path) -> None:
    table = min((folder / "parquet").iterdir())
    table.write_bytes(flipped(table.read_bytes(), 100))
    with pytest.raises(AssertionError, match="GenerationError"):
        read_by(CROISSANT_READER, folder / CROISSANT, home=tmp_path)


def test_hugging_face_s_library_loads_the_folder_split_by_split(
    folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    loaded = read_by(HUGGING_FACE_READER, folder, home=tmp_path)
    assert {split: [row["case"] for row in rows] for split, rows in loaded.items()} == {
        split: [row.case for row in dataset.rows if row.split == split]
        for split in {row.split for row in dataset.rows}
    }


OTHER_PYARROW = "25.0.1"
"""Not the one that is pinned: rows must be the same whichever writes and reads them."""
REWRITER = """
import sys
from pathlib import Path
import pyarrow
from adapters.datasets.parquet import Tables, lines_in
from projections.rows import dataset_root, decode
lines = Path(sys.argv[1], "rows.ndjson").read_bytes().splitlines()
read = list(lines_in(sorted(Path(sys.argv[1], "parquet").iterdir())))
out = Path(sys.argv[2])
out.mkdir()
with Tables(out) as tables:
    for line in lines:
        tables.add(decode(line).split, line)
    tables.finish()
written = list(lines_in(sorted((out / "parquet").iterdir())))
assert lines == read == written
print(pyarrow.__version__, dataset_root(written))
"""


@pytest.mark.long
def test_another_version_of_pyarrow_gives_the_same_root(
    folder: Path, dataset: Dataset, tmp_path: Path
) -> None:
    """Needs the wheel from the package index, so it is no part of `make test`."""
    assert parquet.VERSION != OTHER_PYARROW
    other = tmp_path / "pyarrow"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(other)]
    installed = subprocess.run([*pip, f"pyarrow=={OTHER_PYARROW}"], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"pyarrow {OTHER_PYARROW} cannot be had here: {installed.stderr[-200:]}")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", REWRITER, str(folder), str(tmp_path / "again")],
        env=os.environ | {"PYTHONPATH": f"{other}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [OTHER_PYARROW, dataset.root]
    first = min(contents(folder / "parquet"))
    assert (tmp_path / "again" / "parquet" / first).read_bytes() != contents(folder / "parquet")[
        first
    ]
