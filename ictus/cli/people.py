"""`ictus invite`."""

import asyncio
from datetime import timedelta
from secrets import token_urlsafe
from typing import Literal

from ictus.cli.options import Count, Data, Json, house, put_json, tell

TOKEN_BYTES = 24


def invite(
    *,
    role: Literal["clinician", "researcher", "auditor", "admin"] = "clinician",
    site: str = "main",
    uses: Count = 1,
    days: Count = 14,
    data: Data = None,
    json: Json = False,
) -> None:
    """Makes an invitation link, for one or for many.

    Parameters
    ----------
    role
        What those who use it may do.
    site
        Their site.
    uses
        How many people may use it.
    days
        How long it is valid.
    """
    asyncio.run(_invite(role, site, uses, days, data, json))


async def _invite(
    role: Literal["clinician", "researcher", "auditor", "admin"],
    site: str,
    uses: int,
    days: int,
    data: str | None,
    json: bool,
) -> None:
    from commands import people
    from ictus.wiring import furnish

    token = token_urlsafe(TOKEN_BYTES)
    async with house(data) as opened:
        await furnish(opened)
        await people.issue_invitation(
            opened.books,
            opened.operator(),
            token,
            role=role,
            site=site,
            uses_max=uses,
            valid=timedelta(days=days),
        )
        bot = await _bot_name(opened.settings.telegram.token, opened.settings.telegram.api)
    link = f"https://t.me/{bot}?start={token}" if bot else None
    if json:
        put_json({"link": link, "token": token, "role": role, "site": site, "uses": uses})
        return
    tell(f"For up to {uses} as {role} at {site}, valid {days} days. It is shown only now:")
    print(link or f"/start {token}")  # noqa: T201  the command's result


async def _bot_name(token: str, api: str) -> str | None:
    from adapters.telegram.api import ApiError, BotApi

    if not token:
        return None
    try:
        async with BotApi(token, api) as bot:
            return str((await bot.call("getMe", {}))["username"])
    except ApiError:
        return None
