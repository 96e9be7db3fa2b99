"""A case's objects: encrypted with its key, named by the hash of their plain bytes."""

from hashlib import sha256
from uuid import UUID

from commands.ports import Blobs, Missing, Vault


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


def object_key(case: UUID, digest: str, folder: str = "") -> str:
    """`folder` keeps what is restricted (`original/`) apart from derivatives."""
    return f"case/{case}/{folder}{digest}"
