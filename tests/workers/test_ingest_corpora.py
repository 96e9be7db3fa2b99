"""Files that other projects keep because they once broke a decoder: one outcome each, within the limits.

Pillow's come from a checkout that ICTUS_HOSTILE_FILES names, or are fetched; without either they are skipped.
"""

import asyncio
import os
import subprocess
from pathlib import Path

import pydicom.data
import pytest

from workers.ingest.outcome import Ingested, Refused
from workers.ingest.sandbox import Child, Pool, Sandbox
from workers.ingest.sniff import IMAGE_BYTES_MAX

PILLOW = "https://github.com/python-pillow/Pillow"
FETCH_SECONDS_MAX = 300
CPU_SECONDS_MAX = 5
KIB_MAX = 2**20


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def child_of(pool: Pool) -> Child:
    slot = await pool.slots.get()
    pool.slots.put_nowait(slot)
    return await slot


def kib_most(child: Child) -> int:
    """The most that was ever resident of it."""
    lines = Path(f"/proc/{child.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def withstood(folder: Path) -> int:
    """How many files of a folder got an outcome each from the same two processes."""
    files = await asyncio.to_thread(files_in, folder)
    limits = {"images_max": len(files) + 1, "cpu_seconds_max": CPU_SECONDS_MAX}
    async with Sandbox(**limits) as sandbox:
        pools = (sandbox.readers, sandbox.lookers)
        before = [await child_of(pool) for pool in pools]
        for path in files:
            with path.open("rb") as file:
                outcome = await sandbox.process(file.read(IMAGE_BYTES_MAX + 1))
            assert isinstance(outcome, Ingested | Refused), path
            assert [await child_of(pool) for pool in pools] == before, path
        assert max(map(kib_most, before)) < KIB_MAX
    return len(files)


@pytest.fixture(scope="session")
def pillow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures of Pillow's own tests."""
    if named := os.environ.get("ICTUS_HOSTILE_FILES"):
        return Path(named)
    target = tmp_path_factory.mktemp("pillow")
    command = ["git", "clone", "--quiet", "--depth", "1", PILLOW, str(target)]
    quiet = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    try:
        subprocess.run(
            command, env=quiet, check=True, timeout=FETCH_SECONDS_MAX, capture_output=True
        )
    except (OSError, subprocess.SubprocessError):
        pytest.skip("Pillow's pictures are not at hand: name a folder in ICTUS_HOSTILE_FILES")
    return target / "Tests" / "images"


async def test_every_file_of_pydicoms_tests_gets_one_outcome() -> None:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    assert await withstood(folder) > 100


@pytest.mark.long
async def test_every_file_of_pillows_tests_gets_one_outcome(pillow: Path) -> None:
    assert await withstood(pillow) > 0
