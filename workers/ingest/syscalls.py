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
REFUSE: Final = 0x00050000 | errno.EPERM

LOAD: Final = 0x20
IF_EQUAL: Final = 0x15
IF_ANY_BIT: Final = 0x45
RETURN: Final = 0x06

NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets into what the kernel shows a filter: struct seccomp_data."""

PROT_EXEC: Final = 4


class Machine(NamedTuple):
    """What an architecture calls itself in filters, and its numbers of the calls."""

    audit: int
    seccomp: int
    plain: dict[str, int]
    mapping: dict[str, int]
    """These may not make memory executable."""
    prlimit64: int
    """May set this very process's limit of CPU seconds only."""


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


def restrict() -> None:
    """From now on every other call fails with EPERM, in all threads; OSError if it cannot be so."""
    machine = MACHINES[platform.machine()]
    code = b"".join(step.packed() for step in program(machine))
    kept = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        machine.seccomp, SECCOMP_SET_MODE_FILTER, EVERY_THREAD, head
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")


def program(machine: Machine) -> Iterable[Instruction]:
    """The filter: what is not allowed is refused, and a foreign architecture's call is the last."""
    yield Instruction(LOAD, ARCHITECTURE)
    yield Instruction(IF_EQUAL, machine.audit, if_true=1)
    yield Instruction(RETURN, KILL)
    yield Instruction(LOAD, NUMBER)
    for number in machine.plain.values():
        yield Instruction(IF_EQUAL, number, if_false=1)
        yield Instruction(RETURN, ALLOW)
    for number in machine.mapping.values():
        yield Instruction(IF_EQUAL, number, if_false=4)
        yield Instruction(LOAD, ARGUMENTS + 8 * 2)
        yield Instruction(IF_ANY_BIT, PROT_EXEC, if_true=1)
        yield Instruction(RETURN, ALLOW)
        yield Instruction(RETURN, REFUSE)
    yield Instruction(IF_EQUAL, machine.prlimit64, if_false=5)
    yield Instruction(LOAD, ARGUMENTS)
    yield Instruction(IF_EQUAL, 0, if_false=3)
    yield Instruction(LOAD, ARGUMENTS + 8)
    yield Instruction(IF_EQUAL, resource.RLIMIT_CPU, if_false=1)
    yield Instruction(RETURN, ALLOW)
    yield Instruction(RETURN, REFUSE)
