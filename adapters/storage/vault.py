"""The vault: one key per case or person, wrapped by the master key; destroying it erases them.

A wrapped key and an encrypted object are `nonce (12 bytes) + AES-256-GCM box`; the additional data
of a wrapped key is its name, so keys cannot be swapped.
"""

import os
from asyncio import to_thread
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes, token_hex
from time import monotonic
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nats.aio.client import Client

from adapters.storage.bucket import Bucket
from adapters.storage.streams import KEYS_BUCKET
from commands.ports import Damaged, Erased, Missing
from domain.identity import derived
from domain.sealed import Sealed

KEY_BYTES = 32
NONCE_BYTES = 12
IDS_KEY = "ledger/ids"
TOMBSTONE = b"erased"
CACHED_KEYS_MAX = 10_000
CACHED_SECONDS_MAX = 30.0


class Keys(Protocol):
    """Where wrapped keys are kept; a NATS bucket, or memory."""

    async def create(self, name: str, value: bytes) -> bool:
        """True for the first writer only."""
        ...

    async def put(self, name: str, value: bytes) -> None: ...
    async def get(self, name: str) -> bytes | None: ...
    async def erase(self, name: str) -> None: ...


class KeyVault:
    """Implements `commands.ports.Vault`.

    Another process notices a destroyed key after CACHED_SECONDS_MAX at the latest. What does not
    open with its own key and additional data raises Damaged.
    """

    def __init__(self, keys: Keys, master_key: bytes) -> None:
        self._keys = keys
        self._master = AESGCM(master_key)
        self._cache: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    async def seal(self, key: str, aad: str, text: str) -> Sealed:
        nonce, box = _encrypt(await self._key_to_write(key), aad, text.encode())
        return Sealed(key=key, nonce=_base64(nonce), box=_base64(box))

    async def unseal(self, sealed: Sealed, aad: str) -> str:
        key = await self._key_to_read(sealed.key)
        nonce, box = urlsafe_b64decode(sealed.nonce), urlsafe_b64decode(sealed.box)
        with _opening(sealed.key):
            return AESGCM(key).decrypt(nonce, box, aad.encode()).decode()

    async def encrypt(self, key: str, aad: str, data: bytes) -> bytes:
        nonce, box = await to_thread(_encrypt, await self._key_to_write(key), aad, data)
        return nonce + box

    async def decrypt(self, key: str, aad: str, data: bytes) -> bytes:
        cipher = AESGCM(await self._key_to_read(key))
        nonce, box = data[:NONCE_BYTES], data[NONCE_BYTES:]
        with _opening(key):
            return await to_thread(cipher.decrypt, nonce, box, aad.encode())

    async def derive(self, *words: str) -> UUID:
        return derived(await self._key_to_write(IDS_KEY), *words)

    async def check(self) -> None:
        await self._key_to_read(IDS_KEY)

    async def destroy(self, key: str) -> None:
        """Overwrites the key, then leaves a tombstone; doing it again finishes what broke off."""
        self._cache.pop(key, None)
        if await self._keys.get(key) != TOMBSTONE:
            await self._keys.erase(key)
            await self._keys.put(key, TOMBSTONE)
        self._cache.pop(key, None)

    async def _key_to_write(self, name: str) -> bytes:
        """Made when it is first needed; whoever comes second uses the first one's."""
        if cached := self._cached(name):
            return cached
        wrapped = await self._keys.get(name)
        if wrapped is None:
            await self._keys.create(name, self._wrapped(name, token_bytes(KEY_BYTES)))
            wrapped = await self._keys.get(name)
        return self._opened(name, wrapped)

    async def _key_to_read(self, name: str) -> bytes:
        return self._cached(name) or self._opened(name, await self._keys.get(name))

    def _cached(self, name: str) -> bytes | None:
        since, key = self._cache.get(name, (0.0, b""))
        return key if key and monotonic() - since < CACHED_SECONDS_MAX else None

    def _opened(self, name: str, wrapped: bytes | None) -> bytes:
        if wrapped is None:
            raise Missing(f"there is no key `{name}`")
        if wrapped == TOMBSTONE:
            raise Erased(name)
        nonce, box = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        with _opening(f"{name}, or its master key"):
            key = self._master.decrypt(nonce, box, name.encode())
        self._cache[name] = monotonic(), key
        self._cache.move_to_end(name)
        if len(self._cache) > CACHED_KEYS_MAX:
            self._cache.popitem(last=False)
        return key

    def _wrapped(self, name: str, key: bytes) -> bytes:
        nonce = token_bytes(NONCE_BYTES)
        return nonce + self._master.encrypt(nonce, key, name.encode())


class NatsVault(KeyVault):
    """The vault whose wrapped keys lie in the NATS bucket ICTUS_KEYS."""

    def __init__(self, client: Client, master_key: bytes) -> None:
        super().__init__(Bucket(client, KEYS_BUCKET), master_key)


def load_master_key(path: Path) -> bytes:
    """The 32 bytes that wrap every key; made (mode 0600) when absent, by one process only."""
    if not path.exists():
        _make_master_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ValueError(f"{path} must hold exactly {KEY_BYTES} bytes")
    return key


def _make_master_key(path: Path) -> None:
    """Written whole and synced before it gets its name, so that nobody reads half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    draft.touch(mode=0o600, exist_ok=False)
    with draft.open("wb") as file:
        file.write(token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()


@contextmanager
def _opening(what: str) -> Iterator[None]:
    try:
        yield
    except InvalidTag as error:
        raise Damaged(
            f"a box does not open: wrong place, tampered with, or not of {what}"
        ) from error


def _encrypt(key: bytes, aad: str, data: bytes) -> tuple[bytes, bytes]:
    nonce = token_bytes(NONCE_BYTES)
    return nonce, AESGCM(key).encrypt(nonce, data, aad.encode())


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii")
