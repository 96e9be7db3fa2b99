"""The models of a ledger by name, and what each may do."""

import re
from asyncio import to_thread
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from commands.ports import Missing
from domain.errors import Refused
from domain.model import Registered
from ictus.models import register_bundle
from ictus.wiring import House
from workers.inference.manifest import MANIFEST_FILE

DIGITS_MIN = 6
HEX = re.compile("[0-9a-f]+")


class NotNamed(Exception):
    """These words name no model."""


class Listed(Struct, frozen=True, kw_only=True):
    """`passed` is None where no test is known; `sha256` is of the model, `manifest_sha256` of the whole
    bundle."""

    model: UUID
    name: str
    version: str
    role: str | None
    audience: str
    passed: bool | None
    synthetic: bool
    sha256: str
    manifest_sha256: str


async def known_model(house: House, bundle: str) -> UUID:
    """By the folder of a bundle, which is registered first; by its whole name; or by the first digits
    of the SHA-256 of its manifest or of its model. Raises Missing, NotNamed, BundleRefused, and Refused
    when it could be several."""
    if not bundle:
        raise NotNamed("the model's name is empty: `ictus model list` shows all")
    if await to_thread((Path(bundle) / MANIFEST_FILE).is_file):
        return (await register_bundle(house, Path(bundle)))[0]
    known = [
        (id_, model.registered)
        for id_, model in (await house.models().refresh()).items()
        if model.registered
    ]
    found = [one for one in known if one[1].name == bundle] or _by_digits(known, bundle)
    if not found:
        raise Missing(f"no model `{bundle}`: `ictus model register FOLDER` first")
    if len(found) > 1:
        told = ", ".join(f"{it.name} {it.version} ({it.manifest_sha256[:12]})" for _, it in found)
        raise Refused(f"`{bundle}` is {len(found)} models: {told}. Say the digits of one.")
    return found[0][0]


def _by_digits(known: list[tuple[UUID, Registered]], digits: str) -> list[tuple[UUID, Registered]]:
    if not HEX.fullmatch(digits):
        return []
    if len(digits) < DIGITS_MIN:
        raise NotNamed(f"`{digits}` is too short: {DIGITS_MIN} digits of the SHA-256 at least")
    return [
        (id_, it)
        for id_, it in known
        if it.manifest_sha256.startswith(digits) or it.sha256.startswith(digits)
    ]


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
            manifest_sha256=model.registered.manifest_sha256,
        )
        for id_, model in (await house.models().refresh()).items()
        if model.registered
    ]
