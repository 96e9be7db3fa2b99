"""What an embedded server chooses once and keeps from run to run: ports, passwords and keys."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from secrets import choice, token_hex, token_urlsafe
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket
from typing import Any

from adapters.storage.nkeys import load_nkey, new_seed

HOST = "127.0.0.1"
NKEYS = "nkeys"
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


def keep_nkeys(data: Path, users: Iterable[str]) -> dict[str, str]:
    """The public keys of NATS users; the seed of each lies in a file of its own."""
    make_private(data / NKEYS)
    files = {user: nkey_file(data, user) for user in users}
    for file in files.values():
        if not file.exists():
            write_private(file, new_seed() + "\n")
    return {user: load_nkey(file).public for user, file in files.items()}


def nkey_file(data: Path, user: str) -> Path:
    return data / NKEYS / f"{user}.nk"


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
    new = path.with_name(f".{path.name}.{token_hex(4)}")
    new.touch(mode=0o600, exist_ok=False)
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def make_private(folder: Path) -> None:
    """Makes a folder, and the missing ones above it, for the owner only."""
    if not folder.exists():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
