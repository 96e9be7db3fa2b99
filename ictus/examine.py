"""The examinations that `ictus doctor` makes, one after the other; each says how to mend it."""

import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from msgspec import Struct
from nats.js.errors import NotFoundError

from adapters.storage.streams import Origin, Unfit, check_durability, provision
from adapters.telegram.api import ApiError, BotApi
from commands.ports import Damaged, Unavailable
from ictus import dead_letters
from ictus.cli.options import NO_LEDGER
from ictus.settings import Settings
from ictus.wiring import House, open_house
from projections import PROJECTIONS, runner

LAG_EVENTS_MAX = 1000


class Finding(Struct, frozen=True):
    ok: bool
    what: str
    told: str


class Wrong(Exception):
    """Found wrong; the text says how to mend it."""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Raises Unavailable only when NATS itself does not answer."""
    async with open_house(settings, "operator") as house:
        for what, check in CHECKS.items():
            yield await _found(what, check, house)


async def _found(what: str, check: Callable[[House], Awaitable[str]], house: House) -> Finding:
    try:
        return Finding(ok=True, what=what, told=await check(house))
    except (Wrong, Unfit, Unavailable, Damaged, PermissionError) as wrong:
        return Finding(ok=False, what=what, told=str(wrong))
    except NotFoundError:
        return Finding(ok=False, what=what, told=NO_LEDGER)


async def durability(house: House) -> str:
    await check_durability(house.client, house.settings.nats.monitor_url)
    return f"nats-server {house.client.connected_server_version}, synced before acknowledged"


async def nats_user(house: House) -> str:
    nats = house.settings.nats
    if nats.nkey:
        _must_be_private(Path(nats.nkey))
        return f"`{Path(nats.nkey).stem}`, by its key {nats.nkey}"
    return f"`{urlsplit(nats.url).username or 'anonymous'}`, by the address that is set"


async def streams(house: House) -> str:
    head = await house.books.ledger.head()
    origin: Origin = "demo" if head.origin == "demo" else "site"
    await provision(house.client, origin, house.settings.nats.replicas)
    return f"ledger {head.ledger} ({head.origin}), {head.sequence} events"


async def chain(house: House) -> str:
    count = 0
    async for _ in house.books.ledger.read():
        count += 1
    return f"{count} events read without a gap"


async def postgres(house: House) -> str:
    async with house.database.acquire() as db:
        return f"PostgreSQL {await db.fetchval('SHOW server_version')}"


async def read_models(house: House) -> str:
    lines = await runner.status(house.database, house.books.ledger)
    stopped = [line.trouble for line in lines if line.trouble]
    if stopped:
        raise Wrong("; ".join(stopped))
    late = [line.name for line in lines if line.behind > LAG_EVENTS_MAX]
    missing = sorted(set(PROJECTIONS) - {line.name for line in lines})
    if late or missing:
        named = ", ".join([*late, *missing])
        raise Wrong(f"behind or missing: {named}. Is the role `projector` running?")
    return ", ".join(f"{line.name} at {line.sequence}" for line in lines)


async def dead(house: House) -> str:
    stuck = await dead_letters.stuck(house)
    if stuck:
        workers = ", ".join(sorted({letter.parked.consumer for letter in stuck}))
        raise Wrong(
            f"{len(stuck)} could not be handled by {workers}, and what follows them waits:"
            " `ictus dlq list`, mend the cause, then `ictus dlq retry` or `discard`"
        )
    return "none wait"


async def objects(house: House) -> str:
    key, word = f"doctor/{uuid4().hex}", b"ictus"
    await house.blobs.put(key, word)
    found = await house.blobs.get(key)
    await house.blobs.delete(key)
    if found != word:
        raise Wrong("an object came back changed: check the store")
    return house.settings.blobs_url


async def master_key(house: House) -> str:
    path = house.settings.master_key
    _must_be_private(path)
    try:
        if (await house.books.ledger.head()).sequence:
            await house.books.vault.derive("doctor")
    except Damaged:
        raise Wrong(f"{path} is another ledger's: put the right one back from its backup") from None
    return f"{path}: back it up apart; without it everything sealed is lost"


def _must_be_private(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Wrong(f"others can read {path}: chmod 600 it")


async def telegram(house: House) -> str:
    settings = house.settings.telegram
    if not settings.token:
        return "no token set: ICTUS_TELEGRAM__TOKEN, from @BotFather"
    try:
        async with BotApi(settings.token, settings.api) as api:
            return f"@{(await api.call('getMe', {}))['username']}"
    except ApiError as error:
        raise Wrong(f"{settings.api} does not answer: {error}") from None


CHECKS: dict[str, Callable[[House], Awaitable[str]]] = {
    "NATS user": nats_user,
    "durability": durability,
    "streams": streams,
    "ledger": chain,
    "postgres": postgres,
    "read models": read_models,
    "dead letters": dead,
    "objects": objects,
    "master key": master_key,
    "telegram": telegram,
}
