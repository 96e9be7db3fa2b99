"""A case's objects: encrypted with its key, named by the hash of their plain bytes.

An original that is here before ingest has seen it has the address `kept:<case>/<sha256>`.
"""

from hashlib import sha256
from uuid import UUID

from commands.ports import Blobs, Missing, Vault

KEPT = "kept"
ORIGINALS = "original/"
"""What is restricted lies apart from derivatives."""


async def store(blobs: Blobs, vault: Vault, case: UUID, data: bytes, folder: str = "") -> str:
    """Writes `data` under the case and returns its SHA-256 in hex; the same bytes twice are once."""
    digest = sha256(data).hexdigest()
    key = object_key(case, digest, folder)
    if not await blobs.exists(key):
        await blobs.put(key, await vault.encrypt(f"case/{case}", key, data))
    return digest


async def fetch(blobs: Blobs, vault: Vault, case: UUID, digest: str, folder: str = "") -> bytes:
    """The bytes with that SHA-256. Raises Missing, also when they are not what they were; Erased."""
    key = object_key(case, digest, folder)
    data = await vault.decrypt(f"case/{case}", key, await blobs.get(key))
    if sha256(data).hexdigest() != digest:
        raise Missing(f"{key} does not hold what its name says")
    return data


async def fetch_kept(blobs: Blobs, vault: Vault, address: str) -> bytes:
    """The original at a `kept:` address. Raises as `fetch` does."""
    case, digest = _kept_at(address)
    return await fetch(blobs, vault, case, digest, ORIGINALS)


async def forget_kept(blobs: Blobs, address: str) -> None:
    """Takes the original at a `kept:` address away."""
    case, digest = _kept_at(address)
    await blobs.delete(object_key(case, digest, ORIGINALS))


def kept_address(case: UUID, digest: str) -> str:
    return f"{KEPT}:{case}/{digest}"


def is_kept(address: str) -> bool:
    return address.startswith(f"{KEPT}:")


def _kept_at(address: str) -> tuple[UUID, str]:
    case, digest = address.removeprefix(f"{KEPT}:").split("/")
    return UUID(case), digest


def object_key(case: UUID, digest: str, folder: str = "") -> str:
    return f"case/{case}/{folder}{digest}"
