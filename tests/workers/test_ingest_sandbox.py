"""A hostile photo can at worst end one child process, and never the worker."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from commands.ports import Unavailable
from training.synth import case
from workers.ingest.outcome import Examined, Pixels
from workers.ingest.pipeline import Ingested, Refused, process
from workers.ingest.sandbox import DECODER_FAILED, Child, Sandbox

PHOTOS = [image.data for seed in (800, 801, 802) for image in case(seed).images]

PARENT = """
import asyncio
from workers.ingest.sandbox import Sandbox

async def main():
    async with Sandbox() as sandbox:
        slot = await sandbox.readers.slots.get()
        print((await slot).process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def current(sandbox: Sandbox) -> Child:
    """The next child that decodes, which stays where it is."""
    slot = await sandbox.readers.slots.get()
    sandbox.readers.slots.put_nowait(slot)
    return await slot


def children() -> set[int]:
    """The processes that this one began."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


async def test_outcomes_are_those_of_the_pipeline() -> None:
    async with Sandbox(children=2) as sandbox:
        outcomes = await asyncio.gather(*map(sandbox.process, PHOTOS))
    assert outcomes == [process(photo) for photo in PHOTOS]


async def test_what_is_refused_by_its_first_bytes_needs_no_child() -> None:
    async with Sandbox(children=0) as sandbox:
        assert await sandbox.process(b"") == Refused("rejected", "empty")
        assert await sandbox.process(b"%PDF") == Refused("rejected", "unsupported-type", "pdf")


async def test_the_event_loop_goes_on_while_a_photo_is_processed() -> None:
    async with Sandbox() as sandbox:
        await current(sandbox)
        work = asyncio.create_task(sandbox.process(PHOTOS[0]))
        turns = 0
        while not work.done():
            turns += 1
            await asyncio.sleep(0.001)
        assert isinstance(await work, Ingested)
        assert turns > 3


async def test_a_photo_that_takes_too_long_is_refused_and_the_next_one_is_served() -> None:
    async with Sandbox(wall_seconds_max=0) as sandbox:
        first = await current(sandbox)
        assert await sandbox.process(PHOTOS[0]) == Refused("rejected", "time-limit")
        sandbox.readers.wall_seconds_max = sandbox.lookers.wall_seconds_max = 60
        assert isinstance(await sandbox.process(PHOTOS[0]), Ingested)
        assert not is_running(first.process.pid)


async def test_a_photo_that_computes_too_long_is_ended_by_the_kernel() -> None:
    async with Sandbox(cpu_seconds_max=0) as sandbox:
        outcomes = [await sandbox.process(photo) for photo in PHOTOS[:2]]
    assert outcomes == [Refused("rejected", "time-limit")] * 2


async def test_what_sees_the_bytes_does_not_look_at_pixels_and_the_other_way_round() -> None:
    reader = await Child.start("read", cpu_seconds_max=10)
    looker = await Child.start("look", cpu_seconds_max=10)
    read = await reader.answer(PHOTOS[0], 60)
    assert isinstance(read, Pixels)
    seen = await looker.answer(b"\0" + msgspec.msgpack.encode(read), 60)
    assert isinstance(seen, Examined)
    assert seen.outcome == process(PHOTOS[0])
    assert await looker.answer(b"\0" + PHOTOS[0], 60) == Examined(DECODER_FAILED)
    await reader.stop()


async def test_a_child_that_dies_is_an_outcome() -> None:
    child = await Child.start("read", cpu_seconds_max=10)
    child.process.kill()
    assert await child.answer(PHOTOS[0], 60) == Examined(DECODER_FAILED)
    assert await child.stop() == -signal.SIGKILL


async def test_a_child_that_cannot_start_is_told_with_how_to_see_why() -> None:
    with pytest.raises(Unavailable, match="child look 10 no-profile"):
        await Child.start("look", cpu_seconds_max=10, profile="no-profile")


async def test_an_innocent_photo_survives_the_death_of_its_child() -> None:
    async with Sandbox() as sandbox:
        (await current(sandbox)).process.kill()
        assert isinstance(await sandbox.process(PHOTOS[0]), Ingested)


async def test_a_child_is_replaced_after_its_share_of_photos() -> None:
    async with Sandbox(images_max=2) as sandbox:
        pids = []
        for _ in range(4):
            pids.append((await current(sandbox)).process.pid)
            assert isinstance(await sandbox.process(PHOTOS[0]), Ingested)
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_cancelled_photo_does_not_answer_for_the_next_one() -> None:
    async with Sandbox() as sandbox:
        await current(sandbox)
        work = asyncio.create_task(sandbox.process(PHOTOS[0]))
        await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert await sandbox.process(PHOTOS[1]) == process(PHOTOS[1])


async def test_a_child_knows_no_secret_and_can_write_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ICTUS_TELEGRAM__TOKEN", "0042:secret")
    async with Sandbox() as sandbox:
        root = Path(f"/proc/{(await current(sandbox)).process.pid}")
        environment, limits = (root / "environ").read_text(), (root / "limits").read_text()
        files = [str(link.readlink()) for link in (root / "fd").iterdir()]
    assert "secret" not in environment
    rows = {line[:25].strip(): line[25:].split()[0] for line in limits.splitlines()[1:]}
    assert rows["Max file size"] == rows["Max core file size"] == rows["Max open files"] == "0"
    assert int(rows["Max address space"]) < 8 * 2**30
    assert not [name for name in files if not name.startswith(("pipe:", "socket:", "/dev/null"))]


async def test_no_child_outlives_its_sandbox() -> None:
    async with Sandbox(children=2) as sandbox:
        pids = [(await current(sandbox)).process.pid for _ in range(2)]
    assert not any(is_running(pid) for pid in pids)


async def test_children_that_are_not_warm_yet_are_ended_at_once() -> None:
    others = children()
    async with Sandbox(children=2):
        async with asyncio.timeout(30):
            while len(pids := children() - others) < 4:  # noqa: ASYNC110, as below
                await asyncio.sleep(0.01)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)  # so they never will be
    assert not any(is_running(pid) for pid in pids)


async def test_a_child_that_was_about_to_be_replaced_does_not_outlive_its_sandbox() -> None:
    async with Sandbox() as sandbox:
        first = await current(sandbox)
        work = asyncio.create_task(sandbox.process(PHOTOS[0]))
        while not first.images:  # noqa: ASYNC110, as below
            await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert first.process.returncode == -signal.SIGKILL


async def test_no_child_outlives_a_killed_parent() -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout
    child = int(await parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    await parent.communicate()
    async with asyncio.timeout(30):
        while is_running(child):  # noqa: ASYNC110, nobody can tell us of a stranger's end
            await asyncio.sleep(0.05)
