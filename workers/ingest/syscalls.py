"""Leaves a process, for good, the few calls to the kernel that computing needs (Linux's seccomp).

Limits of resources bind no one who can raise them, and none of them forbids to signal another process or
to read its memory; this does, for root too. No Python binding of libseccomp is maintained, hence our own.
"""

import ctypes
import errno
import platform
import resource
import struct
import sys
from collections.abc import Iterable
from typing import Final, NamedTuple

PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_SET_MODE_FILTER: Final = 1
EVERY_THREAD: Final = 1

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
FAIL: Final = 0x00050000
REFUSE: Final = FAIL | errno.EPERM
UNKNOWN: Final = FAIL | errno.ENOSYS

LOAD: Final = 0x20
IF_EQUAL: Final = 0x15
IF_ANY_BIT: Final = 0x45
RETURN: Final = 0x06

NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets into what the kernel shows a filter: struct seccomp_data."""

PROT_EXEC: Final = 4
THREAD: Final = 0x3D0F00
"""How the C library asks `clone` for a thread of this very process."""


class Machine(NamedTuple):
    """What an architecture calls itself in filters, and its numbers of the calls."""

    audit: int
    seccomp: int
    plain: dict[str, int]
    mapping: dict[str, int]
    """These may not make memory executable."""
    prlimit64: int
    """May set this very process's limit of CPU seconds only."""
    threaded: dict[str, int]
    """What a thread needs besides `clone`."""
    clone: int
    clone3: int
    """Hides its flags from filters; where it is unknown, `clone` is taken."""


MACHINES: Final = {
    "x86_64": Machine(
        audit=0xC000003E,
        seccomp=317,
        plain={
            "read": 0,
            "write": 1,
            "munmap": 11,
            "brk": 12,
            "rt_sigaction": 13,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "sched_yield": 24,
            "mremap": 25,
            "madvise": 28,
            "exit": 60,
            "getrusage": 98,
            "sigaltstack": 131,
            "futex": 202,
            "sched_getaffinity": 204,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "exit_group": 231,
            "getrandom": 318,
        },
        mapping={"mmap": 9, "mprotect": 10},
        prlimit64=302,
        threaded={"set_robust_list": 273, "rseq": 334},
        clone=56,
        clone3=435,
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        seccomp=277,
        plain={
            "read": 63,
            "write": 64,
            "munmap": 215,
            "brk": 214,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "sched_yield": 124,
            "mremap": 216,
            "madvise": 233,
            "exit": 93,
            "getrusage": 165,
            "sigaltstack": 132,
            "futex": 98,
            "sched_getaffinity": 123,
            "restart_syscall": 128,
            "clock_gettime": 113,
            "exit_group": 94,
            "getrandom": 278,
        },
        mapping={"mmap": 222, "mprotect": 226},
        prlimit64=261,
        threaded={"set_robust_list": 99, "rseq": 293},
        clone=220,
        clone3=435,
    ),
}


class Instruction(NamedTuple):
    """One of the kernel's filter machine; jumps count the instructions that are skipped."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def packed(self) -> bytes:
        """As struct sock_filter."""
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


def can_restrict() -> bool:
    """Whether this machine's kernel knows such filters, and we its numbers."""
    return sys.platform == "linux" and platform.machine() in MACHINES


def restrict(threads: bool = False) -> None:
    """From now on every other call fails with EPERM; OSError if it cannot be so.

    With `threads` the process may still start some of its own, which are held to the same.
    """
    machine = MACHINES[platform.machine()]
    code = b"".join(step.packed() for step in program(machine, threads))
    kept = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        machine.seccomp, SECCOMP_SET_MODE_FILTER, EVERY_THREAD, head
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def program(machine: Machine, threads: bool) -> Iterable[Instruction]:
    """The filter: what is not allowed is refused, and a foreign architecture's call is the last."""
    yield Instruction(LOAD, ARCHITECTURE)
    yield Instruction(IF_EQUAL, machine.audit, if_true=1)
    yield Instruction(RETURN, KILL)
    yield Instruction(LOAD, NUMBER)
    for number in machine.plain.values():
        yield from call(number, Instruction(RETURN, ALLOW))
    for number in machine.mapping.values():
        may_run = Instruction(IF_ANY_BIT, PROT_EXEC, if_true=1)
        yield from call(number, argument(2), may_run, Instruction(RETURN, ALLOW))
    itself = Instruction(IF_EQUAL, 0, if_false=3)
    cpu = Instruction(IF_EQUAL, resource.RLIMIT_CPU, if_false=1)
    allowed = Instruction(RETURN, ALLOW)
    yield from call(machine.prlimit64, argument(0), itself, argument(1), cpu, allowed)
    if threads:
        yield from threading(machine)
    yield Instruction(RETURN, REFUSE)


def threading(machine: Machine) -> Iterable[Instruction]:
    """What starts and ends a thread."""
    for number in machine.threaded.values():
        yield from call(number, Instruction(RETURN, ALLOW))
    yield from call(machine.clone3, Instruction(RETURN, UNKNOWN))
    is_thread = Instruction(IF_EQUAL, THREAD, if_false=1)
    yield from call(machine.clone, argument(0), is_thread, Instruction(RETURN, ALLOW))


def call(number: int, *then: Instruction) -> Iterable[Instruction]:
    """If this is the call, then so; what does not return in it is refused."""
    yield Instruction(IF_EQUAL, number, if_false=len(then) + 1)
    yield from then
    yield Instruction(RETURN, REFUSE)


def argument(place: int) -> Instruction:
    """Loads the lower half of an argument."""
    return Instruction(LOAD, ARGUMENTS + 8 * place)
