"""What workers and operators do with dead letters."""

from uuid import UUID

from commands.ports import Ledger
from commands.transact import Books, transact
from domain import dead_letter
from domain.dead_letter import DiscardReason, Line, Parked
from domain.events import DEAD_LETTER, Request, fold


async def load(ledger: Ledger, line: UUID) -> Line:
    """Everything that was set aside in this line before the call."""
    state: Line = fold(DEAD_LETTER, await ledger.load(DEAD_LETTER.name, line))
    return state


async def park(books: Books, request: Request, line: UUID, parked: Parked) -> bool:
    return await transact(
        books, request, DEAD_LETTER, line, lambda state: dead_letter.park(state, parked)
    )


async def wait(books: Books, request: Request, line: UUID, parked: Parked) -> bool:
    """False if no earlier letter stands in the line, or this one is known there."""
    return await transact(
        books, request, DEAD_LETTER, line, lambda state: dead_letter.wait(state, parked)
    )


async def handle(books: Books, request: Request, line: UUID, letter: UUID) -> bool:
    return await transact(
        books, request, DEAD_LETTER, line, lambda state: dead_letter.handle(state, letter)
    )


async def retry(books: Books, request: Request, line: UUID, letter: UUID) -> bool:
    """False if it is being tried already. Raises Refused."""
    return await transact(
        books, request, DEAD_LETTER, line, lambda state: dead_letter.retry(state, letter)
    )


async def discard(
    books: Books, request: Request, line: UUID, letter: UUID, reason: DiscardReason
) -> bool:
    """Raises Refused."""
    return await transact(
        books, request, DEAD_LETTER, line, lambda state: dead_letter.discard(state, letter, reason)
    )
