"""The models of a ledger by name, and what each may do."""

from asyncio import to_thread
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from commands.ports import Missing
from ictus.models import register_bundle
from ictus.wiring import House
from workers.inference.manifest import MANIFEST_FILE


class Listed(Struct, frozen=True, kw_only=True):
    """`passed` is None where no test is known."""

    model: UUID
    name: str
    version: str
    role: str | None
    audience: str
    passed: bool | None
    synthetic: bool
    sha256: str


async def known_model(house: House, bundle: str) -> UUID:
    """By the folder of a bundle, which is registered first; by name, the last of that name; or by the
    first digits of its SHA-256. Raises Missing, BundleRefused."""
    if await to_thread((Path(bundle) / MANIFEST_FILE).is_file):
        return (await register_bundle(house, Path(bundle)))[0]
    found = [
        id_
        for id_, model in (await house.models().refresh()).items()
        if model.registered
        and (model.registered.name == bundle or model.registered.sha256.startswith(bundle))
    ]
    if not found:
        raise Missing(f"no model `{bundle}`: `ictus model register FOLDER` first")
    return found[-1]


async def listed(house: House) -> list[Listed]:
    """The last changed at the end."""
    return [
        Listed(
            model=id_,
            name=model.registered.name,
            version=model.registered.version,
            role=model.role,
            audience=str(model.audience) if model.role else "",
            passed=model.tested.passed if model.tested else None,
            synthetic=model.registered.synthetic,
            sha256=model.registered.sha256,
        )
        for id_, model in (await house.models().refresh()).items()
        if model.registered
    ]
