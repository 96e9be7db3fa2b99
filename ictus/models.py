"""From a bundle's folder to a registered model."""

from asyncio import to_thread
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from commands import models
from domain.model import Registered
from ictus.wiring import House
from workers.inference.classifier import MANIFEST_FILE, MODEL_FILE, Classifier

DEMO_BUNDLE = Path(__file__).resolve().parents[1] / "training" / "bundles" / "demo"


async def register_bundle(house: House, folder: Path) -> tuple[UUID, Registered]:
    """Loads the bundle to prove that it works, stores its files, registers it; repeatable.

    Raises BundleRefused.
    """
    manifest = (await to_thread(Classifier.load, folder)).manifest
    files = {
        name: await to_thread((folder / name).read_bytes) for name in (MANIFEST_FILE, MODEL_FILE)
    }
    registered = Registered(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        sha256=manifest.sha256,
        manifest_sha256=sha256(files[MANIFEST_FILE]).hexdigest(),
        dataset_root=manifest.dataset_root,
        profile=manifest.profile,
        synthetic=manifest.synthetic,
    )
    await models.register(house.books, house.blobs, house.operator(), registered, files)
    return models.model_id(registered.manifest_sha256), registered
