"""`ictus model …`."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ictus.cli.options import Data, Json, house, put_json, put_table, tell

if TYPE_CHECKING:
    from ictus.lineup import Listed

COLUMNS = ("name", "version", "role", "audience", "passed", "bundle")
Role = Literal["demo", "shadow", "challenger", "champion"]


def register(folder: Path, *, data: Data = None, json: Json = False) -> None:
    """Checks a bundle and makes it known here.

    Parameters
    ----------
    folder
        With manifest.json and the ONNX files it names.
    """
    asyncio.run(_register(folder, data, json))


def promote(
    bundle: str,
    *,
    role: Annotated[Role, Parameter(name=("--as", "--role"))],
    audience: str = "all",
    data: Data = None,
    json: Json = False,
) -> None:
    """Gives a model a role; whoever had the place leaves it.

    A champion answers all that no challenger answers; a challenger answers its audience; a shadow is
    asked, and nobody hears it. Once one answers, cases that wait for it are answered.

    Parameters
    ----------
    bundle
        A bundle's folder, or a registered model's name, or six or more digits of its SHA-256.
    audience
        `all`, `site:NAME`, `person:UUID` or `percent:N` of all cases, drawn by their ids.
    """
    asyncio.run(_promote(bundle, role, audience, data, json))


def rollback(*, data: Data = None, json: Json = False) -> None:
    """Takes the last promotion back: the model before it answers again."""
    asyncio.run(_rollback(data, json))


def retire(name: str, *, reason: str = "retired", data: Data = None, json: Json = False) -> None:
    """Takes a model's role from it.

    Parameters
    ----------
    name
        The model's name, or six or more digits of its SHA-256.
    """
    asyncio.run(_retire(name, reason, data, json))


def list_models(*, data: Data = None, json: Json = False) -> None:
    """The models known here: their roles, audiences and tests."""
    asyncio.run(_list(data, json))


async def _register(folder: Path, data: str | None, json: bool) -> None:
    from ictus.models import register_bundle

    async with house(data) as opened:
        model, registered = await register_bundle(opened, folder)
    if json:
        put_json({"model": model, "registered": registered})
        return
    tell(f"{registered.name} {registered.version} is registered as {model}")


async def _promote(bundle: str, role: Role, words: str, data: str | None, json: bool) -> None:
    from commands import models
    from domain.audience import audience
    from ictus.lineup import known_model

    wanted = audience(words)
    async with house(data) as opened:
        model = await known_model(opened, bundle)
        await models.promote(opened.books, opened.operator(), model, role, wanted)
    if json:
        put_json({"model": model, "role": role, "audience": str(wanted)})
        return
    tell(f"{bundle} is now {role} for {wanted}")


async def _rollback(data: str | None, json: bool) -> None:
    from commands import models

    async with house(data) as opened:
        left, restored = await models.rollback(opened.books, opened.operator())
    if json:
        put_json({"left": left, "restored": restored})
        return
    tell(f"{left} left; {restored or 'nobody'} has its place")


async def _retire(name: str, reason: str, data: str | None, json: bool) -> None:
    from commands import models
    from ictus.lineup import known_model

    async with house(data) as opened:
        model = await known_model(opened, name)
        done = await models.retire(opened.books, opened.operator(), model, reason)
    put_json({"model": model, "retired": done}) if json else tell(f"{name} has no role")


async def _list(data: str | None, json: bool) -> None:
    from ictus.lineup import listed

    async with house(data) as opened:
        rows = await listed(opened)
    if json:
        for row in rows:
            put_json(row)
        return
    put_table("Models", COLUMNS, [_cells(row) for row in rows])


def _cells(row: "Listed") -> list[str]:
    passed = {True: "yes", False: "no", None: "not tested"}[row.passed]
    return [row.name, row.version, row.role or "", row.audience, passed, row.manifest_sha256[:12]]
