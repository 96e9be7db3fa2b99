"""`ictus model …`."""

import asyncio
from pathlib import Path
from typing import Literal

from ictus.cli.options import Data, Json, house, put_json, tell


def register(folder: Path, *, data: Data = None, json: Json = False) -> None:
    """Checks a bundle and makes it known here.

    Parameters
    ----------
    folder
        With model.onnx and manifest.json.
    """
    asyncio.run(_register(folder, data, json))


def promote(
    name: str,
    *,
    role: Literal["demo", "shadow", "challenger", "champion"],
    data: Data = None,
    json: Json = False,
) -> None:
    """Gives a registered model a role.

    Once one answers, cases that wait for it are answered.

    Parameters
    ----------
    name
        The model's name, or the first digits of its SHA-256.
    """
    asyncio.run(_promote(name, role, data, json))


async def _register(folder: Path, data: str | None, json: bool) -> None:
    from ictus.models import register_bundle

    async with house(data) as opened:
        model, registered = await register_bundle(opened, folder)
    if json:
        put_json({"model": model, "registered": registered})
        return
    tell(f"{registered.name} {registered.version} is registered as {model}")


async def _promote(
    name: str,
    role: Literal["demo", "shadow", "challenger", "champion"],
    data: str | None,
    json: bool,
) -> None:
    from commands import models
    from commands.ports import Missing

    async with house(data) as opened:
        known = await opened.models().refresh()
        found = [
            id_
            for id_, model in known.items()
            if model.registered
            and (model.registered.name == name or model.registered.sha256.startswith(name))
        ]
        if not found:
            raise Missing(f"no model `{name}`: `ictus model register FOLDER` first")
        await models.promote(opened.books, opened.operator(), found[-1], role)
    put_json({"model": found[-1], "role": role}) if json else tell(f"{name} is now {role}")
