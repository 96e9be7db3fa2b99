"""`ictus case …` and `ictus events`."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import msgspec
from cyclopts import Parameter

if TYPE_CHECKING:
    from domain.events import Recorded

from ictus.cli.options import AsOf, Count, Data, Json, house, put_json, put_table, sequence_of

State = Literal[
    "receiving", "waiting", "answered", "abstained", "labelled", "withdrawn", "erased", "imported"
]

COLUMNS = ("code", "opened (UTC)", "state", "images", "most likely", "final cause")


def list_cases(
    *,
    limit: Count = 20,
    state: State | None = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """The latest cases.

    Parameters
    ----------
    limit
        How many at most.
    state
        Only those in this state; imported ones are listed only so.
    """
    asyncio.run(_list(limit, state, data, json))


def find(text: str, *, data: Data = None, json: Json = False) -> None:
    """Finds cases by the card's code or by UUID.

    Parameters
    ----------
    text
        Such as K7-4F2Q, or a UUID or its first digits.
    """
    asyncio.run(_find(text, data, json))


def show(case: str, *, as_of: AsOf = None, data: Data = None, json: Json = False) -> None:
    """The whole story of a case, as of any moment.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    """
    asyncio.run(_show(case, as_of, data, json))


def events(
    *,
    first: Annotated[Count, Parameter(name="--from")] = 1,
    last: Annotated[Count | None, Parameter(name="--to")] = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    case: str | None = None,
    actor: str | None = None,
    data: Data = None,
) -> None:
    """The ledger's events as NDJSON, as stored.

    Parameters
    ----------
    first
        First sequence.
    last
        Last sequence.
    type_
        Such as ictus.case.opened.v1, or its beginning.
    case
        Code or UUID.
    actor
        Such as worker:ingest, or its beginning.
    """
    asyncio.run(_events(first, last, type_, case, actor, data))


async def _list(limit: int, state: State | None, data: str | None, json: bool) -> None:
    from projections import inbox

    async with house(data, "researcher") as opened, opened.database.acquire() as db:
        _put_lines(await inbox.latest(db, limit, state), json, "Latest cases")


async def _find(text: str, data: str | None, json: bool) -> None:
    from domain.errors import NoSuchCase
    from projections import inbox

    async with house(data, "researcher") as opened, opened.database.acquire() as db:
        found = await inbox.find(db, text)
    if not found:
        raise NoSuchCase(f"no case `{text}`: `ictus case list` shows the latest")
    _put_lines(found, json, f"Cases found for {text}")


async def _show(case: str, as_of: str | None, data: str | None, json: bool) -> None:
    from domain.errors import NoSuchCase
    from domain.events import CASE, fold
    from ictus.past import story

    async with house(data, "researcher") as opened:
        until = await sequence_of(opened, as_of)
        case_id = await case_id_of(opened, case)
        past = await story(opened.books.ledger, opened.database, case_id)
    known = [recorded for recorded in past if until is None or recorded.sequence <= until]
    if not known:
        raise NoSuchCase(f"no case `{case}`" + (f" as of {as_of}" if as_of else ""))
    state = fold(CASE, known)
    if json:
        put_json(
            {"case": case_id, "as_of": known[-1].sequence, "state": state, "events": _told(known)}
        )
        return
    rows = [
        (
            recorded.sequence,
            f"{recorded.envelope.time:%Y-%m-%d %H:%M:%S}",
            _name(recorded),
            summary(recorded.event),
        )
        for recorded in known
    ]
    put_table(f"Case {state.opened.code} ({case_id})", ("seq", "time (UTC)", "event", "what"), rows)


async def _events(
    first: int,
    last: int | None,
    type_: str | None,
    case: str | None,
    actor: str | None,
    data: str | None,
) -> None:
    async with house(data, "researcher") as opened:
        case_id = await case_id_of(opened, case) if case else None
        if first > (await opened.books.ledger.head()).sequence:
            return
        async for recorded in opened.books.ledger.read(first - 1):
            envelope = recorded.envelope
            if last is not None and recorded.sequence > last:
                return
            if case_id and envelope.subject != f"case/{case_id}":
                continue
            if envelope.type.startswith(type_ or "") and envelope.actor.startswith(actor or ""):
                sys.stdout.write(_line(recorded))


async def case_id_of(opened: Any, text: str) -> UUID:
    """By UUID without any read model, else by code. Raises NoSuchCase."""
    from domain.errors import NoSuchCase
    from projections import inbox

    try:
        return UUID(text)
    except ValueError:
        async with opened.database.acquire() as db:
            found = await inbox.find(db, text)
    if len(found) != 1:
        hint = "several cases; use the UUID" if found else "no case"
        raise NoSuchCase(f"`{text}`: {hint} (`ictus case find {text}`)")
    return found[0].case_id


def summary(event: Any) -> str:
    """An event's open fields in one line; sealed ones are named, never opened."""
    from domain.sealed import Sealed

    told = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, Sealed):
            told.append(f"{name}=(sealed)")
        elif value not in (None, (), {}, ""):
            text = msgspec.json.encode(value).decode().strip('"')
            told.append(f"{name}={text if len(text) <= 60 else text[:57] + '…'}")
    return " ".join(told)


def _put_lines(lines: Any, json: bool, title: str) -> None:
    if json:
        for line in lines:
            put_json(line)
        return
    rows = [
        (
            line.code,
            f"{line.opened_at:%m-%d %H:%M}",
            line.state,
            f"{line.usable}/{line.usable + line.rejected + line.quarantined + line.pending}",
            _likely(line),
            line.label,
        )
        for line in lines
    ]
    put_table(title, COLUMNS, rows)


def _likely(line: Any) -> str | None:
    return f"{line.top} {line.top_permille / 10:.0f} %" if line.top else None


def _name(recorded: "Recorded") -> str:
    return str(recorded.envelope.type).removeprefix("ictus.case.").removesuffix(".v1")


def _told(known: "list[Recorded]") -> list[dict[str, Any]]:
    return [
        {"sequence": r.sequence, "hash": r.hash, **msgspec.json.decode(r.payload)} for r in known
    ]


def _line(recorded: "Recorded") -> str:
    head = f'{{"sequence":{recorded.sequence},"hash":"{recorded.hash}","event":'
    return head + recorded.payload.decode() + "}\n"
