"""A registered bundle's files, fetched from the objects and checked against what was registered."""

import asyncio
from hashlib import sha256
from pathlib import Path

from commands import models
from commands.ports import Blobs
from workers.inference.classifier import MANIFEST_FILE, MODEL_FILE, BundleRefused

BUNDLE_FILES = (MANIFEST_FILE, MODEL_FILE)


async def unpacked(blobs: Blobs, release: str, cache: Path) -> Path:
    """The bundle's folder in `cache`; `release` is the SHA-256 of its manifest, which names the rest.
    Raises BundleRefused, Missing."""
    folder = cache / release
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    for name in BUNDLE_FILES:
        data = await blobs.get(models.bundle_key(release, name))
        if name == MANIFEST_FILE and sha256(data).hexdigest() != release:
            raise BundleRefused(f"{models.bundle_key(release, name)} was altered.")
        await asyncio.to_thread((folder / name).write_bytes, data)
    return folder
