"""A registered bundle's files, fetched from the objects and checked against what was registered."""

import asyncio
from hashlib import sha256
from pathlib import Path

from commands import models
from commands.ports import Blobs
from workers.inference.manifest import MANIFEST_FILE, BundleRefused, files_of, read_manifest


async def unpacked(blobs: Blobs, release: str, cache: Path) -> Path:
    """The bundle's folder in `cache`; `release` is the SHA-256 of its manifest, which names the rest.
    Raises BundleRefused, Missing."""
    folder = cache / release
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    data = await blobs.get(models.bundle_key(release, MANIFEST_FILE))
    if sha256(data).hexdigest() != release:
        raise BundleRefused(f"{models.bundle_key(release, MANIFEST_FILE)} was altered.")
    await asyncio.to_thread((folder / MANIFEST_FILE).write_bytes, data)
    for name in files_of(await asyncio.to_thread(read_manifest, folder)):
        file = await blobs.get(models.bundle_key(release, name))
        await asyncio.to_thread((folder / name).write_bytes, file)
    return folder
