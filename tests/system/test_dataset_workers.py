"""`ictus dataset build --workers` with real worker processes, one of which is killed at its work."""

import json
import os
import subprocess
import sys
from asyncio import sleep, timeout, to_thread
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ictus.settings import Settings
from ictus.wiring import House
from tests.givens import Given
from tests.system.test_audit import called, ictus
from tests.system.test_dataset import house, settings  # noqa: F401  fixtures
from tests.workers.witnessing import write

SECONDS_MAX = 90
EVENTS = 20_000


@contextmanager
def started(settings: Settings, *words: str) -> Iterator[subprocess.Popen[str]]:  # noqa: F811
    """An ictus process; killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ictus", *words],
        env=called(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def begun(parts: Path) -> Path:
    """The first sign that a worker has a part in hand."""
    async with timeout(SECONDS_MAX):
        while not (found := files(parts, "*/*.reached")):  # noqa: ASYNC110  nobody tells us
            await sleep(0.001)
    return found[0]


def files(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if path.is_file()]


async def test_a_worker_killed_at_its_work_only_delays_and_the_root_is_the_same(
    settings: Settings,  # noqa: F811
    house: House,  # noqa: F811
    tmp_path: Path,
) -> None:
    given = Given(house.books.ledger)
    cases = await given.ward()
    await given.linked(cases[0], cases[3])
    await write(house.client, EVENTS)
    parts = settings.folder / "objects" / "dataset"
    asked = ("dataset", "build", "--images", "reference", "--json", "--out")

    with started(settings, *asked, str(tmp_path / "far"), "--workers", "2") as building:
        with started(settings, "run", "dataset-worker") as victim:
            mine = await begun(parts)
            os.kill(victim.pid, 9)
        assert not mine.with_suffix(".part").exists()
        worker = ("run", "dataset-worker")
        with started(settings, *worker), started(settings, *worker):
            out, err = await to_thread(building.communicate, timeout=SECONDS_MAX)
        assert building.returncode == 0, err
    far = json.loads(out)

    near = ictus(settings, *asked, str(tmp_path / "near"), "--as-of", str(far["as_of"]))
    assert near.returncode == 0, near.stderr
    assert far["root"] == json.loads(near.stdout)["root"]
    assert far["rows"] == len(cases)
    assert files(parts, "**/*") == []
    assert ictus(settings, "dataset", "verify", str(tmp_path / "far")).returncode == 0


async def test_a_ray_cluster_builds_the_same_root(
    settings: Settings,  # noqa: F811
    house: House,  # noqa: F811
    tmp_path: Path,
) -> None:
    if not find_spec("ray"):
        pytest.skip("needs ictus[ray]")
    given = Given(house.books.ledger)
    cases = await given.ward()
    await given.linked(cases[0], cases[3])
    asked = ("dataset", "build", "--images", "reference", "--json", "--out")

    # Its sockets need a short path.
    with TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as home:
        far = await to_thread(
            subprocess.run,
            [sys.executable, "-m", "ictus", *asked, str(tmp_path / "far"), "--ray", "local"],
            env=called(settings) | {"HOME": home, "RAY_TMPDIR": home},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )
    assert far.returncode == 0, far.stderr
    told = json.loads(far.stdout)
    near = ictus(settings, *asked, str(tmp_path / "near"), "--as-of", str(told["as_of"]))
    assert told["root"] == json.loads(near.stdout)["root"]
    assert told["rows"] == len(cases)


@pytest.mark.parametrize(
    "words", ["--workers 65", "--workers 2 --shards 2", "--workers 2 --ray local"]
)
def test_who_folds_is_asked_for_once_and_within_limits(
    settings: Settings,  # noqa: F811
    tmp_path: Path,
    words: str,
) -> None:
    done = ictus(settings, "dataset", "build", "--out", str(tmp_path / "set"), *words.split())
    assert done.returncode == 2
    assert "--workers" in done.stdout + done.stderr
