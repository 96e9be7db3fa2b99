"""The same dataset from any number of processes, with any hash seed; a process that dies is told."""

import asyncio
import os
import signal
import subprocess
import sys
from itertools import chain, product
from multiprocessing import active_children
from pathlib import Path

import pytest

from commands.ports import Damaged, Unavailable
from projections.builder import build
from projections.shards import dealt
from projections.spec import Spec
from tests.projections.copied import CopiedLedger

ROOT = Path(__file__).parents[2]
SPEC = Spec(hold_out_sites=("demo-2",))
AS_OF = 60
HASH_SEEDS, THREADS, SHARDS = ("0", "1", "4294967295"), ("1", "4"), ("1", "2", "7", "64")


@pytest.mark.parametrize("shards", [2, 7, 64])
async def test_the_number_of_processes_does_not_matter(busy: CopiedLedger, shards: int) -> None:
    for as_of in (None, AS_OF):
        alone = await build(busy, SPEC, as_of)
        assert await build(busy, SPEC, as_of, shards=shards) == alone
    assert alone.erased
    assert active_children() == []


SCRIPT = """
import asyncio, sys
from adapters.storage.memory import MemoryLedger
from projections.builder import build
from tests.givens import Given
from tests.projections.test_shards import AS_OF, SPEC

async def main():
    given = Given(MemoryLedger())
    cases = await given.ward(8)
    await given.linked(cases[0], cases[5])
    for shards in map(int, sys.argv[1:]):
        print((await build(given.ledger, SPEC, AS_OF, shards=shards)).root)

asyncio.run(main())
"""


def test_no_combination_of_hash_seed_threads_and_shards_matters() -> None:
    roots = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *SHARDS],
            env=os.environ
            | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed, threads in product(HASH_SEEDS, THREADS)
    ]
    assert {len(of_each_shard) for of_each_shard in roots} == {len(SHARDS)}
    (root,) = set(chain.from_iterable(roots))
    assert len(root) == 64


async def test_a_process_that_dies_ends_the_build_with_a_word(busy: CopiedLedger) -> None:
    events = [(each.sequence, each.payload) for each in busy.events]
    async with dealt(2, len(events)) as fold:
        await fold.take(events)
        for child in active_children():
            assert child.pid
            os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="exit code -9"):
            await fold.members()
    assert active_children() == []


async def test_a_build_that_is_broken_off_leaves_no_process(busy: CopiedLedger) -> None:
    begun = asyncio.Event()
    building = asyncio.create_task(
        build(busy, SPEC, shards=2, progress=lambda done, of: begun.set())
    )
    await begun.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert active_children() == []


@pytest.mark.parametrize("shards", [1, 2])
async def test_a_missing_event_ends_the_build(busy: CopiedLedger, shards: int) -> None:
    gap = CopiedLedger([each for each in busy.events if each.sequence != 7])
    with pytest.raises(Damaged, match="no event 7 "):
        await build(gap, SPEC, shards=shards)
    assert active_children() == []


async def test_progress_ends_at_the_head(busy: CopiedLedger) -> None:
    told: list[tuple[int, int]] = []
    await build(busy, SPEC, progress=lambda *numbers: told.append(numbers))
    assert told[-1] == (len(busy.events), len(busy.events))
