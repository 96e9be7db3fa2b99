"""Objects in a directory, and the choice between a directory and an S3 server by URL."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from commands.ports import Blobs, Missing, Unavailable

KEY = re.compile(r"(?!.*\.\.)[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)
PREFIX = re.compile(r"(?!.*\.\.)([\w-][\w.-]*/)*([\w-][\w.-]*)?", re.ASCII)


def open_blobs(
    url: str,
    *,
    endpoint: str = "",
    access_key: str = "",
    secret_key: str = "",
    region: str = "us-east-1",
    secure: bool = True,
) -> Blobs:
    """The store at `file:///path`, a plain path, or `s3://bucket/prefix` on `endpoint`."""
    parts = urlsplit(url)
    match parts.scheme:
        case "s3":
            # Here, since a directory needs none of the quarter of a second that minio takes.
            from adapters.storage.s3 import S3Blobs

            return S3Blobs(
                url,
                endpoint=endpoint,
                access_key=access_key,
                secret_key=secret_key,
                region=region,
                secure=secure,
            )
        case "file":
            return DirectoryBlobs(Path(parts.path))
        case "":
            return DirectoryBlobs(Path(url))
        case other:
            raise ValueError(f"objects cannot be kept at {other}://: use a path, file:// or s3://")


def checked_key(key: str) -> str:
    """The key itself; no part of it is empty or starts with a dot, so none leads elsewhere."""
    if not KEY.fullmatch(key):
        raise ValueError(f"not an object key: {key!r}")
    return key


def checked_prefix(prefix: str) -> str:
    if not PREFIX.fullmatch(prefix):
        raise ValueError(f"not a prefix of object keys: {prefix!r}")
    return prefix


class DirectoryBlobs:
    """One file per object, `root/<key>`, readable by the owner only.

    An object is there whole or not at all, and durable when `put` returns. Half-written ones wait
    in `root/.new`, which no key can name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    async def put(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, self._path(key), data)

    async def get(self, key: str) -> bytes:
        return await asyncio.to_thread(self._get, self._path(key))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self._path(key).is_file)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self._delete, self._path(key))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        for key in await asyncio.to_thread(lambda: sorted(self._keys(checked_prefix(prefix)))):
            yield key

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _put(self, path: Path, data: bytes) -> None:
        new = self._root / ".new" / token_hex(16)
        try:
            new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_durably(new, data)
            _make_folder(path.parent, self._root)
            new.replace(path)
            _sync(path.parent)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise Unavailable(f"cannot write an object: {error.strerror}") from error

    def _get(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise Missing(self._key(path)) from None
        except OSError as error:
            raise Unavailable(f"cannot read an object: {error.strerror}") from error

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync(path.parent)
        except OSError as error:
            raise Unavailable(f"cannot delete an object: {error.strerror}") from error

    def _keys(self, prefix: str) -> Iterator[str]:
        folder = self._root / prefix.rpartition("/")[0]
        for path in folder.rglob("*"):
            key = self._key(path)
            if key.startswith(prefix) and KEY.fullmatch(key) and path.is_file():
                yield key

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _write_durably(path: Path, data: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _make_folder(folder: Path, root: Path) -> None:
    """Made durably: a folder exists after a power cut only when the one above it was synced."""
    if folder.is_dir():
        return
    if folder != root:
        _make_folder(folder.parent, root)
    folder.mkdir(mode=0o700, exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
