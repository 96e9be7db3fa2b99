"""`ictus dlq …`."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import Parameter

from domain.dead_letter import DiscardReason
from ictus.cli.options import Data, Json, house, put_json, put_table, tell

if TYPE_CHECKING:
    from ictus.wiring import House

Letter = Annotated[str | None, Parameter(help="A dead letter's UUID or its first digits.")]
Group = Annotated[
    str | None, Parameter(name="--group", help="A fingerprint: all failures of this kind.")
]
Case = Annotated[str | None, Parameter(name="--case", help="A case's code or UUID.")]

COLUMNS = ("letter", "standing", "consumer", "about", "cause", "error", "group", "tries", "since")


def list_letters(
    *,
    group: Group = None,
    case: Case = None,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """What was set aside, line by line.

    Parameters
    ----------
    everything
        Also what was handled or discarded since.
    """
    asyncio.run(_list(group, case, everything, data, json))


def show(letter: str, *, data: Data = None, json: Json = False) -> None:
    """The whole story of a dead letter and its line.

    Parameters
    ----------
    letter
        Its UUID or its first digits.
    """
    asyncio.run(_show(letter, data, json))


def retry(
    letter: Letter = None,
    /,
    *,
    group: Group = None,
    case: Case = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Lets the worker try again, in order.

    Name one letter, a group of failures or a case; what waits behind follows by itself.
    """
    asyncio.run(_retry(letter, group, case, data, json))


def discard(
    letter: Letter = None,
    /,
    *,
    reason: DiscardReason,
    group: Group = None,
    case: Case = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Skips it for ever.

    Name one letter, a group of failures or all of a case; what waits behind follows by itself.

    Parameters
    ----------
    reason
        Why nobody needs it any more.
    """
    asyncio.run(_discard(letter, reason, group, case, data, json))


async def _list(
    group: str | None, case: str | None, everything: bool, data: str | None, json: bool
) -> None:
    from ictus.cli.cases import case_id_of
    from projections import deadletters

    async with house(data) as opened:
        case_id = await case_id_of(opened, case) if case else None
        async with opened.database.acquire() as db:
            found = await deadletters.lines(db, case_id, group, everything)
    if json:
        for line in found:
            put_json(line)
        return
    put_table("Dead letters", COLUMNS, [_row(line) for line in found])


async def _show(letter: str, data: str | None, json: bool) -> None:
    from domain.events import DEAD_LETTER
    from ictus import dead_letters
    from ictus.cli.cases import summary

    async with house(data) as opened:
        line, id_ = await dead_letters.find(opened, letter)
        past = await opened.books.ledger.load(DEAD_LETTER.name, line)
    if json:
        put_json({"letter": id_, "line": line, "events": [_told(recorded) for recorded in past]})
        return
    rows = [
        (
            recorded.sequence,
            f"{recorded.envelope.time:%Y-%m-%d %H:%M:%S}",
            recorded.envelope.actor,
            recorded.envelope.type.removeprefix("ictus.dead-letter.").removesuffix(".v1"),
            summary(recorded.event),
        )
        for recorded in past
    ]
    put_table(f"Line of the dead letter {id_}", ("seq", "time (UTC)", "who", "event", "what"), rows)


async def _retry(
    letter: str | None, group: str | None, case: str | None, data: str | None, json: bool
) -> None:
    from ictus import dead_letters

    async with house(data) as opened:
        chosen = await dead_letters.firsts(opened, *await _wish(opened, letter, group, case))
        done = [id_ for line, id_ in chosen if await dead_letters.retry(opened, line, id_)]
    _tell_done("retried", done, json)


async def _discard(
    letter: str | None,
    reason: DiscardReason,
    group: str | None,
    case: str | None,
    data: str | None,
    json: bool,
) -> None:
    from ictus import dead_letters

    async with house(data) as opened:
        chosen = await dead_letters.chosen(opened, *await _wish(opened, letter, group, case))
        done = [
            id_ for line, id_ in chosen if await dead_letters.discard(opened, line, id_, reason)
        ]
    _tell_done("discarded", done, json)


async def _wish(
    opened: "House", letter: str | None, group: str | None, case: str | None
) -> tuple[str | None, str | None, UUID | None]:
    """Raises BadSetting unless exactly one of them is given."""
    from ictus.cli.cases import case_id_of
    from ictus.settings import BadSetting

    if sum(word is not None for word in (letter, group, case)) != 1:
        raise BadSetting("name one: a dead letter, --group FINGERPRINT or --case CASE")
    return letter, group, await case_id_of(opened, case) if case else None


def _tell_done(what: str, done: list[UUID], json: bool) -> None:
    if json:
        put_json({what: done})
        return
    tell(f"{what}: {len(done)}")
    for letter in done:
        tell(f"  {letter}")


def _row(line: Any) -> tuple[object, ...]:
    about = f"{line.aggregate} {str(line.aggregate_id)[:8]}" if line.aggregate_id else ""
    since = f"{line.since:%m-%d %H:%M}"
    return (
        str(line.letter)[:8],
        line.standing,
        line.consumer,
        about,
        line.cause,
        line.error,
        line.fingerprint,
        line.attempts,
        since,
    )


def _told(recorded: Any) -> dict[str, Any]:
    import msgspec

    told: dict[str, Any] = msgspec.json.decode(recorded.payload)
    return {"sequence": recorded.sequence, **told}
