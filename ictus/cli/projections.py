"""`ictus projection …`."""

import asyncio

from ictus.cli.options import Data, Json, house, put_json, put_table, tell


def status(*, data: Data = None, json: Json = False) -> None:
    """Version, position and lag of all."""
    asyncio.run(_status(data, json))


def rebuild(name: str, *, data: Data = None, json: Json = False) -> None:
    """Builds one anew and switches to it.

    Parameters
    ----------
    name
        As `ictus projection status` lists it.
    """
    asyncio.run(_rebuild(name, data, json))


async def _status(data: str | None, json: bool) -> None:
    from projections import runner

    async with house(data, "projector") as opened:
        found = await runner.status(opened.database, opened.books.ledger)
    if json:
        for line in found:
            put_json(line)
        return
    columns = found[0].__struct_fields__ if found else ()
    rows = [[getattr(line, column) for column in columns] for line in found]
    put_table("Read models", columns, rows)


async def _rebuild(name: str, data: str | None, json: bool) -> None:
    from commands.ports import Missing
    from projections import PROJECTIONS, runner

    if name not in PROJECTIONS:
        raise Missing(f"no read model `{name}`; there are {', '.join(PROJECTIONS)}")
    async with house(data, "projector") as opened:
        rebuilt = await runner.rebuild(
            PROJECTIONS[name],
            opened.books.ledger,
            opened.database,
            lambda done, of: tell(f"{name}: {done} of {of} events"),
        )
    put_json(rebuilt) if json else tell(f"{name} rebuilt: {rebuilt}")
