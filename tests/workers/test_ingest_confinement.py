"""What took over a process that handles a stranger's bytes can compute, answer, and nothing else."""

import json
import os
import subprocess
import sys

import pytest

from workers.ingest.sandbox import ENVIRONMENT, Child
from workers.ingest.syscalls import can_restrict

ATTACKS = {
    "read a file": "open('/etc/passwd')",
    "read the environment": "open('/proc/self/environ')",
    "read the parent's environment": "open(f'/proc/{parent}/environ')",
    "write a file": "open('/tmp/ictus-attack', 'w')",
    "look into a folder": "os.listdir('/')",
    "make a folder": "os.mkdir('/tmp/ictus-attack')",
    "remove a file": "os.unlink('/tmp/ictus-attack')",
    "open a socket": "socket.socket()",
    "open a pair of sockets": "socket.socketpair()",
    "open a pipe": "os.pipe()",
    "copy a descriptor": "os.dup(1)",
    "fork": "os.fork()",
    "run a program": "os.execv('/bin/true', ['true'])",
    "start a thread": "_thread.start_new_thread(print, ())",
    "signal the parent": "os.kill(parent, 0)",
    "read the parent's memory": "called('process_vm_readv', parent, None, 0, None, 0, 0)",
    "follow the parent": "called('ptrace', 0x4206, parent, None, None)",
    "become another": "os.setuid(12345)",
    "make memory executable": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "lift a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "lift a stranger's limit": "resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))",
}

INTRUDER = """
import _thread, ctypes, json, mmap, os, resource, socket, sys
import workers.ingest.child as child

libc, parent, stopped = ctypes.CDLL(None, use_errno=True), os.getppid(), []

def called(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

user, threads, attacks = json.loads(sys.argv[1])
tried = [compile(attack, attack, "eval") for attack in attacks]
libc.process_vm_readv, libc.ptrace
if user:
    os.setuid(user)
child.confine(threads)
for attack in tried:
    try:
        eval(attack)
    except (OSError, RuntimeError, ValueError):
        stopped.append(attack.co_filename)
child.allow_cpu(5)
print(json.dumps([stopped, sum(range(10))]))
"""

NOBODY = 65534
USERS = {"root": 0, "nobody": NOBODY} if os.geteuid() == 0 else {"oneself": 0}
on_linux = pytest.mark.skipif(not can_restrict(), reason="no filter of system calls here")


def withstood(user: str, threads: bool) -> list[str]:
    """The attacks that were of no use in a confined process, which can compute afterwards."""
    given = json.dumps([USERS[user], threads, list(ATTACKS.values())])
    intruder = subprocess.run(
        [sys.executable, "-I", "-c", INTRUDER, given],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    stopped, computed = json.loads(intruder.stdout)
    assert computed == 45
    return [name for name, attack in ATTACKS.items() if attack in stopped]


@on_linux
@pytest.mark.parametrize("user", USERS)
def test_an_intruder_reaches_nothing_outside_its_process(user: str) -> None:
    assert withstood(user, threads=False) == list(ATTACKS)


@on_linux
@pytest.mark.parametrize("user", USERS)
def test_where_a_decoder_needs_threads_it_gets_nothing_else(user: str) -> None:
    assert withstood(user, threads=True) == [each for each in ATTACKS if each != "start a thread"]


@on_linux
@pytest.mark.parametrize("act", ["read", "look"])
async def test_the_processes_in_use_are_those_confined(act: str) -> None:
    child = await Child.start(act, cpu_seconds_max=10)  # type: ignore[arg-type]
    with open(f"/proc/{child.process.pid}/status") as file:  # noqa: ASYNC230, PTH123
        status = dict(line.split(":", 1) for line in file.read().splitlines())
    await child.stop()
    assert status["Seccomp"].strip() == "2"
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Threads"].strip() == "1"
