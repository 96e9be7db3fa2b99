"""`ictus advice …`."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ictus.cli.options import AsOf, Data, Json, house, put_json, put_table, sequence_of

if TYPE_CHECKING:
    from projections.advice import Advised

ALL = ("code", "revision", "examination", "priority", "reviewed by", "state")
ONE = ("revision", "seq", "time (UTC)", "text", "for whom", "source", "reviewed by")
PRIORITIES = {1: "1 now", 2: "2 this admission", 3: "3 after discharge"}
NOBODY = "nobody yet"


def list_texts(*, as_of: AsOf = None, data: Data = None, json: Json = False) -> None:
    """The examinations that may be advised, as of any moment."""
    asyncio.run(_list(as_of, data, json))


def show(examination: str, *, as_of: AsOf = None, data: Data = None, json: Json = False) -> None:
    """Every text an examination had, and who stood for it.

    Parameters
    ----------
    examination
        Its code, such as ce.telemetry, or its UUID.
    """
    asyncio.run(_show(examination, as_of, data, json))


async def _list(as_of: str | None, data: str | None, json: bool) -> None:
    from projections import advice

    async with house(data, "researcher") as opened:
        until = await sequence_of(opened, as_of)
        async with opened.database.acquire() as db:
            found = await advice.catalogue(db, until)
    _put(found, json, "The advice catalogue", ALL, [_line(text) for text in found])


async def _show(examination: str, as_of: str | None, data: str | None, json: bool) -> None:
    from commands.ports import Missing
    from projections import advice

    async with house(data, "researcher") as opened:
        until = await sequence_of(opened, as_of)
        async with opened.database.acquire() as db:
            found = await advice.texts(db, until, _spelt(examination))
    if not found:
        when = f" as of {as_of}" if as_of else ""
        raise Missing(f"no examination `{examination}`{when}: `ictus advice list` tells all")
    last = found[-1]
    title = f"{last.code} ({last.examination}), {_state(last)}"
    _put(found, json, title, ONE, [_text(text) for text in found])


def _put(
    found: "list[Advised]", json: bool, title: str, columns: Sequence[str], rows: list[list[object]]
) -> None:
    if json:
        for text in found:
            put_json(text)
        return
    put_table(title, columns, rows)


def _line(text: "Advised") -> list[object]:
    priority = PRIORITIES[text.priority]
    reviewed = text.reviewed_by or NOBODY
    return [text.code, text.revision, text.name.en, priority, reviewed, _state(text)]


def _text(text: "Advised") -> list[object]:
    words = [f"{text.name.en}: {text.why.en}", f"{text.name.ru}: {text.why.ru}"]
    whom = f"{', '.join(text.when.blocks)}; AF {', '.join(text.when.af)}"
    if text.when.condition:
        whom += f"; {text.when.condition.en}"
    time = f"{text.time:%Y-%m-%d %H:%M:%S}"
    reviewed = text.reviewed_by or NOBODY
    return [text.revision, text.sequence, time, "\n".join(words), whom, text.source, reviewed]


def _state(text: "Advised") -> str:
    return f"retired: {text.retired.reason}" if text.retired else "advised"


def _spelt(examination: str) -> str:
    """A UUID in any spelling as the canonical one, a code as it is."""
    from uuid import UUID

    try:
        return str(UUID(examination))
    except ValueError:
        return examination
