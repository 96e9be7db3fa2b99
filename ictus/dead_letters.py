"""What the operator does with dead letters: finds them in the ledger, has them tried, discards them."""

from uuid import UUID

from commands import dead_letters
from commands.ports import Missing
from domain.dead_letter import DiscardReason, Letter
from ictus.wiring import House

Found = tuple[UUID, UUID]
"""The line and the letter."""

NONE = "no open dead letter of {}: `ictus dlq list` shows what there is"


async def find(house: House, text: str) -> Found:
    """By UUID or its first digits, whether it is still open or not. Raises Missing."""
    lines = await house.dead_letters().refresh()
    found = [
        (line_id, letter)
        for line_id, line in lines.items()
        for letter in (*line.letters, *line.closed)
        if str(letter).startswith(text.lower())
    ]
    if len(found) != 1:
        several = f"{len(found)} dead letters begin with `{text}`" if found else ""
        raise Missing(several or f"no dead letter `{text}`: `ictus dlq list --all` shows all")
    return found[0]


async def firsts(
    house: House, letter: str | None, group: str | None, case: UUID | None
) -> list[Found]:
    """This letter; or of each line of the group or the case the first letter, if it is stuck."""
    if letter is not None:
        return [await find(house, letter)]
    lines = await house.dead_letters().refresh()
    found = [
        (line_id, line.head.parked.letter)
        for line_id, line in lines.items()
        if line.head and line.head.standing == "stuck" and _is_of(line.head, group, case)
    ]
    return _some(found, group, case)


async def chosen(
    house: House, letter: str | None, group: str | None, case: UUID | None
) -> list[Found]:
    """This letter; or all open ones of the group or the case, the last of a line first, so that
    none of them is tried meanwhile."""
    if letter is not None:
        return [await find(house, letter)]
    lines = await house.dead_letters().refresh()
    found = [
        (line_id, id_)
        for line_id, line in lines.items()
        for id_, each in reversed(line.letters.items())
        if _is_of(each, group, case)
    ]
    return _some(found, group, case)


async def retry(house: House, line: UUID, letter: UUID) -> bool:
    return await dead_letters.retry(house.books, house.operator(), line, letter)


async def discard(house: House, line: UUID, letter: UUID, reason: DiscardReason) -> bool:
    return await dead_letters.discard(house.books, house.operator(), line, letter, reason)


async def stuck(house: House) -> list[Letter]:
    """Those that wait for the operator."""
    lines = await house.dead_letters().refresh()
    heads = [line.head for line in lines.values()]
    return [head for head in heads if head and head.standing == "stuck"]


def _is_of(letter: Letter, group: str | None, case: UUID | None) -> bool:
    return letter.parked.fingerprint == group or (
        case is not None and letter.parked.aggregate_id == case
    )


def _some(found: list[Found], group: str | None, case: UUID | None) -> list[Found]:
    if not found:
        raise Missing(NONE.format(f"the group {group}" if group else f"the case {case}"))
    return found
