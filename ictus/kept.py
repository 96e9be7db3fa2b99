"""What is chosen once and kept from run to run, and the private files that it is kept in."""

import json
import os
from pathlib import Path
from secrets import choice, token_hex, token_urlsafe
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Any

HOST = "127.0.0.1"
SERVER_PORTS = range(10_000, 32_768)
"""Systems give connections ports above these."""


def keep_ports(data: Path, *names: str) -> None:
    """A port stays the same from run to run unless another program took it meanwhile."""
    ports = read_kept(data / "ports.json")
    for name in names:
        if name not in ports or not _is_free(ports[name]):
            ports[name] = free_port()
    write_private(data / "ports.json", json.dumps(ports))


def keep_password(data: Path, name: str) -> None:
    passwords = {name: token_urlsafe(24)} | read_kept(data / "secrets.json")
    write_private(data / "secrets.json", json.dumps(passwords))


def read_kept(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _is_free(port: int) -> bool:
    with socket(AF_INET, SOCK_STREAM) as probe:
        probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """One that no connection takes for its own end before the server listens there."""
    while not _is_free(port := choice(SERVER_PORTS)):
        pass
    return port


def write_private(path: Path, text: str) -> None:
    """Replaces a file at once, readable by its owner only."""
    _written(path, text, 0o600).replace(path)


def write_public(path: Path, text: str) -> None:
    """Replaces a file at once, readable by everybody."""
    _written(path, text, 0o644).replace(path)


def write_once(path: Path, text: str) -> bool:
    """As `write_private`, unless the file is there: then it stays as it is, and this is False."""
    if path.exists():
        return False
    new = _written(path, text, 0o600)
    try:
        path.hardlink_to(new)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def _written(path: Path, text: str, mode: int) -> Path:
    """The text in a new file beside `path`, on the disk."""
    new = path.with_name(f".{path.name}.{token_hex(4)}")
    new.touch(mode=0o600, exist_ok=False)
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    return new


def make_private(folder: Path) -> None:
    """Makes a folder, and the missing ones above it, for the owner only."""
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def make_public(folder: Path) -> None:
    """Makes a folder that everybody may read."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
