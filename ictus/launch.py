"""Turns into a child's program after arranging that it cannot outlive its supervisor.

python -I -S launch.py SUPERVISOR_PID USER PROGRAM ARGUMENT…   (USER may be empty: stay who you are)

A program of its own because what it does is not safe between fork and exec of a threaded parent.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.chdir("/")


def die_with(supervisor: int) -> None:
    """Linux kills this process when the supervisor's thread that started it ends, however it ends.

    Must come after a change of user, which would undo it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        sys.exit("the supervisor is gone")


if __name__ == "__main__":
    supervisor, user, *argv = sys.argv[1:]
    if user:
        become(user)
    die_with(int(supervisor))
    os.execv(argv[0], argv)
