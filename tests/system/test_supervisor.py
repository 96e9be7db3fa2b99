"""The supervisor starts in order, restarts the dead and leaves no process behind."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from ictus.supervisor import AlreadyRunning, Child, NotReady, Supervisor, command_line

SLEEP = "import time; time.sleep(600)"
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""
# Notes its start and, when asked to stop, its end in one file.
DIARY = """
import signal, sys, time
from pathlib import Path
def note(word):
    with Path(sys.argv[1]).open("a") as diary: diary.write(word + sys.argv[2] + " ")
signal.signal(signal.SIGTERM, lambda *_: (note("-"), sys.exit()))
note("+")
time.sleep(600)
"""
# A supervisor of its own; tells when its children run, then which signal stopped it.
SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from ictus.supervisor import Child, Supervisor
async def main(run_dir):
    async with Supervisor(run_dir) as supervisor:
        for name in ("one", "two"):
            sleep = (sys.executable, "-c", "import time; time.sleep(600)")
            log = run_dir / f"{name}.log"
            await supervisor.start(Child(name=name, argv=sleep, env={}, log=log))
        print("started", flush=True)
        await supervisor.wait()
    print(supervisor.stopped_by.name, flush=True)
asyncio.run(main(Path(sys.argv[1])))
"""


def child(folder: Path, name: str, program: str, *arguments: str, **options: object) -> Child:
    argv = (sys.executable, "-c", program, *arguments)
    settings = {"env": dict(os.environ), "log": folder / f"{name}.log"} | options
    return Child(name=name, argv=argv, **settings)  # type: ignore[arg-type]


async def until(happened: Callable[[], object]) -> None:
    for _ in range(2000):
        if happened():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never happened")


def all_gone(pids: Iterable[int]) -> bool:
    return not any(command_line(pid) for pid in pids)


def started_apart(run_dir: Path) -> tuple[subprocess.Popen[str], list[int]]:
    program = [sys.executable, "-c", SUPERVISOR, str(run_dir)]
    supervisor = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout
    assert supervisor.stdout.readline() == "started\n"
    return supervisor, list(json.loads((run_dir / "pids.json").read_text()).values())


@pytest.fixture
def sleepers() -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Two processes of which one has an argument more."""
    argv = [sys.executable, "-c", "print(flush=True);" + SLEEP]
    pair = (sleeper(argv), sleeper([*argv, "mine"]))
    yield pair
    for process in pair:
        process.kill()
        process.communicate()


def sleeper(argv: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout
    process.stdout.readline()
    return process


async def test_children_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    diary = tmp_path / "diary"

    async with Supervisor(tmp_path / "run") as supervisor:
        for name in ("a", "b", "c"):

            async def ready(name: str = name) -> bool:
                return diary.exists() and f"+{name}" in diary.read_text()

            await supervisor.start(child(tmp_path, name, DIARY, str(diary), name, ready=ready))

    assert diary.read_text().split() == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_killed_child_comes_back_and_is_counted(tmp_path: Path) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(child(tmp_path, "worker", SLEEP))
        first = supervisor.pid("worker")

        supervisor.kill("worker")
        await until(lambda: supervisor.restarts["worker"] == 1)
        await until(lambda: supervisor.pid("worker") != first)

        second = supervisor.pid("worker")
        assert json.loads((tmp_path / "pids.json").read_text()) == {"worker": second}

    assert all_gone([first, second])


async def test_a_child_that_keeps_dying_is_started_ever_more_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(child(tmp_path, "crash", "import sys; sys.exit(3)"))
        await until(lambda: supervisor.restarts["crash"] == 3)

    assert [record.getMessage() for record in caplog.records][:3] == [
        f"crash ended with code 3; starting it in {pause} s" for pause in ("0.2", "0.4", "0.8")
    ]


async def test_a_child_that_dies_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    broken = child(tmp_path, "broken", "import sys; sys.exit('no such setting')", ready=never)

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(NotReady, match=r"(?s)broken ended before it was ready.*no such set"):
            await supervisor.start(broken)


async def test_a_child_that_is_never_ready_is_reported_and_stopped(tmp_path: Path) -> None:
    pids = []

    async def never() -> bool:
        pids.append(supervisor.pid("slow"))
        return False

    slow = child(tmp_path, "slow", SLEEP, ready=never, ready_seconds_max=0.1)

    with pytest.raises(NotReady, match=r"slow was not ready within 0\.1 s"):
        async with Supervisor(tmp_path) as supervisor:
            await supervisor.start(slow)

    assert pids
    assert all_gone(pids)


async def test_a_child_that_ignores_the_signal_is_killed_with_what_it_started(
    tmp_path: Path,
) -> None:
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(child(tmp_path, "stubborn", STUBBORN, grace_s=0.1))
        await until(lambda: (tmp_path / "stubborn.log").read_text().endswith("\n"))
        pids = [supervisor.pid("stubborn"), int((tmp_path / "stubborn.log").read_text())]

    await until(lambda: all_gone(pids))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
async def test_a_signal_to_the_supervisor_stops_everything(tmp_path: Path, name: str) -> None:
    supervisor, pids = await asyncio.to_thread(started_apart, tmp_path)

    supervisor.send_signal(signal.Signals[name])
    output, _ = await asyncio.to_thread(supervisor.communicate)

    assert (supervisor.returncode, output) == (0, f"{name}\n")
    assert all_gone(pids)
    assert json.loads((tmp_path / "pids.json").read_text()) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a parent's death")
async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor, pids = await asyncio.to_thread(started_apart, tmp_path)

    supervisor.kill()
    await asyncio.to_thread(supervisor.communicate)

    await until(lambda: all_gone(pids))


async def test_only_one_supervisor_works_in_a_directory(tmp_path: Path) -> None:
    async with Supervisor(tmp_path):
        with pytest.raises(AlreadyRunning):
            await Supervisor(tmp_path).__aenter__()

    async with Supervisor(tmp_path):
        pass


async def test_what_an_earlier_run_left_is_killed_and_strangers_are_not(
    tmp_path: Path, sleepers: tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]
) -> None:
    left, stranger = sleepers
    argv = command_line(left.pid)
    (tmp_path / "pids.json").write_text(json.dumps({"left": left.pid, "reused": stranger.pid}))
    (tmp_path / "argvs.json").write_text(json.dumps({"left": argv, "reused": argv}))

    async with Supervisor(tmp_path):
        assert await asyncio.to_thread(left.wait) == -signal.SIGKILL
        assert stranger.poll() is None


async def test_logs_and_records_are_private(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"

    async with Supervisor(run_dir) as supervisor:
        await supervisor.start(child(run_dir, "worker", "print('hello')"))
        await until(lambda: "hello" in (run_dir / "worker.log").read_text())

        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in run_dir.iterdir()} == {0o600}
