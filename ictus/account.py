"""The account that PostgreSQL runs as when ictus runs as root, which PostgreSQL refuses to be."""

import os
import pwd
import struct
import subprocess
from pathlib import Path

NAME = "pgserver"
ACL = "system.posix_acl_access"
ACL_VERSION = 2
USER, GROUP_OWNER, MASK, OTHER, OWNER = 0x02, 0x04, 0x10, 0x20, 0x01
NOBODY = 0xFFFFFFFF


def server_account() -> pwd.struct_passwd | None:
    """None unless we are root; made if absent."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        useradd = ["useradd", "--system", "--shell", "/usr/sbin/nologin", NAME]
        done = subprocess.run(useradd, capture_output=True, text=True)
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        raise RuntimeError(f"cannot make the account {NAME}: {done.stderr.strip()}") from None


def open_the_way(account: pwd.struct_passwd, target: Path) -> None:
    """Lets `account` pass through (not list) the closed folders above `target`.

    Nobody else may, where the file system knows access control lists; else everybody may.
    """
    for folder in target.resolve().parents:
        if folder.stat().st_mode & 0o001:
            continue
        try:
            os.setxattr(folder, ACL, _with_passage(folder, account.pw_uid))
        except OSError:
            folder.chmod(folder.stat().st_mode | 0o001)


def make_readable(folder: Path) -> None:
    """Undoes a umask that hid installed programs from every account but root's."""
    if folder.stat().st_mode & 0o005 == 0o005:
        return
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o055 if mode & 0o100 else 0o044))


def _with_passage(folder: Path, user: int) -> bytes:
    """The folder's list with x for `user`, in Linux's format: (tag, rights, id), sorted by tag."""
    entries = _entries(folder)
    entries[USER, user] = entries.get((USER, user), 0) | 1
    entries[MASK, NOBODY] = entries.get((MASK, NOBODY), entries[GROUP_OWNER, NOBODY]) | 1
    packed = (struct.pack("<HHI", tag, entries[tag, who], who) for tag, who in sorted(entries))
    return struct.pack("<I", ACL_VERSION) + b"".join(packed)


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    try:
        raw = os.getxattr(folder, ACL)
    except OSError:
        mode = folder.stat().st_mode
        rights = {OWNER: mode >> 6 & 7, GROUP_OWNER: mode >> 3 & 7, OTHER: mode & 7}
        return {(tag, NOBODY): right for tag, right in rights.items()}
    return {(tag, who): right for tag, right, who in struct.iter_unpack("<HHI", raw[4:])}
