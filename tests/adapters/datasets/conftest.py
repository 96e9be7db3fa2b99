"""A ledger in which much has happened, a witness's log of it, and a dataset's folder made from both."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from adapters.datasets.layout import Manifest
from adapters.datasets.writing import PLAIN, Form, write
from adapters.storage.blobs import DirectoryBlobs
from adapters.storage.memory import MemoryLedger
from adapters.storage.signing import FileSigningKey
from projections.builder import Dataset, build
from projections.spec import Spec
from tests.givens import Given
from tests.workers.witnessing import KEY as WITNESS
from workers.witness.notes import Checkpoint, log_name, sign
from workers.witness.prefix import Prefix, take
from workers.witness.tiles import CHECKPOINT, Log

KEY = FileSigningKey(bytes(range(1, 33)))
SPEC = Spec(salt="salt 2")
"""With it the ward's cases fall into three splits."""

Writing = Callable[..., Awaitable[Path]]


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def given(ledger: MemoryLedger) -> Given:
    return Given(ledger)


@pytest.fixture
async def dataset(ledger: MemoryLedger, given: Given) -> Dataset:
    await given.ward()
    return await build(ledger, SPEC)


@pytest.fixture
async def log(dataset: Dataset, ledger: MemoryLedger, given: Given, tmp_path: Path) -> Prefix:
    """The ledger grew before the witness signed."""
    await given.ward(1)
    blobs = DirectoryBlobs(tmp_path / "objects")
    await witness(ledger, blobs)
    return await take(blobs, WITNESS, dataset.ledger, dataset.as_of)


@pytest.fixture
def written(dataset: Dataset, given: Given, log: Prefix, tmp_path: Path) -> Writing:
    """Writes the dataset in some form to `data/<name>`."""

    async def writing(name: str = "set", form: Form = PLAIN) -> Path:
        folder = tmp_path / "data" / name
        await write(dataset, folder, given.object, KEY, log, form)
        return folder

    return writing


@pytest.fixture
async def folder(written: Writing) -> Path:
    return await written()


async def witness(ledger: MemoryLedger, blobs: DirectoryBlobs) -> None:
    """Tiles and a signed checkpoint of all events, as the witness writes them."""
    log, name = Log(), log_name((await ledger.head()).ledger)
    async for recorded in ledger.read():
        for key, data in log.append(bytes.fromhex(recorded.hash)).items():
            await blobs.put(key, data)
    for key, data in log.partial().items():
        await blobs.put(key, data)
    await blobs.put(CHECKPOINT, sign(Checkpoint(name, log.size, log.root()).text(), name, WITNESS))


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def manifest_says(dataset: Dataset) -> Manifest:
    return Manifest(
        root=dataset.root,
        rows=len(dataset.rows),
        as_of=dataset.as_of,
        head_sha256=dataset.head_sha256,
        spec=SPEC,
        spec_sha256=SPEC.sha256,
        projector=dataset.projector,
        ledger=dataset.ledger,
    )
