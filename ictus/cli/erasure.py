"""`ictus case link`, `ictus case apart`, `ictus case withdraw` and `ictus case erase`."""

import asyncio
from typing import Annotated, Literal

from cyclopts import Parameter

from ictus.cli.cases import case_id_of
from ictus.cli.options import Data, Json, house, put_json, tell


class NotConfirmed(Exception):
    """What cannot be undone was asked for without `--yes`."""


def link(
    case: str,
    other: str,
    *,
    suggested: Annotated[
        Literal["clinician", "near-duplicate"], Parameter(help="Who or what thought of it.")
    ] = "clinician",
    data: Data = None,
    json: Json = False,
) -> None:
    """Says that two cases are of one patient.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    other
        Likewise.
    """
    asyncio.run(_link(case, other, suggested, data, json))


def apart(case: str, other: str, *, data: Data = None, json: Json = False) -> None:
    """Says that two cases are of two patients.

    Images of theirs that are near duplicates join them no longer.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    other
        Likewise.
    """
    asyncio.run(_apart(case, other, data, json))


def withdraw(
    case: str,
    *,
    reason: Annotated[Literal["consent", "wrong-patient", "not-usable"], Parameter(help="Why.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Takes a case out of all later datasets.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    """
    asyncio.run(_withdraw(case, reason, data, json))


def erase(
    case: str,
    *,
    yes: Annotated[
        bool, Parameter(negative="", help="It cannot be undone, and it is meant.")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Destroys a case's key and objects for ever.

    The ledger's events stay, sealed fields unreadable, and every hash still verifies. One that broke
    off is finished by asking again.

    Parameters
    ----------
    case
        The code on the card, or the UUID.
    """
    if not yes:
        raise NotConfirmed(
            f"`ictus case erase {case} --yes` destroys its images and texts for ever"
        )
    asyncio.run(_erase(case, data, json))


async def _link(
    case: str,
    other: str,
    suggested: Literal["clinician", "near-duplicate"],
    data: str | None,
    json: bool,
) -> None:
    from commands import cases

    async with house(data) as opened:
        one, two = await case_id_of(opened, case), await case_id_of(opened, other)
        changed = await cases.link(opened.books, opened.operator(), one, two, suggested=suggested)
    _done({"case": one, "other": two, "changed": changed}, f"{case} and {other}: one patient", json)


async def _apart(case: str, other: str, data: str | None, json: bool) -> None:
    from commands import cases

    async with house(data) as opened:
        one, two = await case_id_of(opened, case), await case_id_of(opened, other)
        changed = await cases.tell_apart(opened.books, opened.operator(), one, two)
    _done({"case": one, "other": two, "changed": changed}, f"{case} and {other}: apart", json)


async def _withdraw(
    case: str,
    reason: Literal["consent", "wrong-patient", "not-usable"],
    data: str | None,
    json: bool,
) -> None:
    from commands import cases

    async with house(data) as opened:
        id_ = await case_id_of(opened, case)
        changed = await cases.withdraw(opened.books, opened.operator(), id_, reason)
    _done({"case": id_, "changed": changed}, f"{case} is withdrawn", json)


async def _erase(case: str, data: str | None, json: bool) -> None:
    from commands import cases

    async with house(data) as opened:
        id_ = await case_id_of(opened, case)
        changed = await cases.erase(opened.books, opened.blobs, opened.operator(), id_)
    _done({"case": id_, "changed": changed}, f"{case} is erased", json)


def _done(outcome: dict[str, object], words: str, json: bool) -> None:
    if json:
        put_json(outcome)
    else:
        tell(words if outcome["changed"] else f"{words} already")
