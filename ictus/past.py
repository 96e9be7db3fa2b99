"""What the ledger held: asked of the read model `history` where that holds as much, else of the ledger.

A ledger of a million events needs a tenth of a second to find one case, and must be read whole to
find a time; PostgreSQL has indices for both.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from adapters.storage.commits import check_chain
from commands.ports import Damaged, Database, Db, Ledger, Unavailable
from domain.events import CASE, Recorded
from domain.identity import Instant
from projections import cursor, history

Found = TypeVar("Found")


async def story(ledger: Ledger, database: Database, case: UUID) -> list[Recorded]:
    """A case's events, oldest first. Raises Damaged when the ledger's own chain is broken."""

    async def told(db: Db) -> list[Recorded]:
        events = await history.of_case(db, case)
        check_chain(events)
        return events

    found = await _from_history(ledger, database, told)
    return await ledger.load(CASE.name, case) if found is None else found


async def sequence_at(ledger: Ledger, database: Database, time: Instant) -> int:
    """What was known at `time`: the last sequence before the first event that is later."""
    found = await _from_history(ledger, database, lambda db: history.sequence_at(db, time))
    return await _read_to(ledger, time) if found is None else found


async def _from_history(
    ledger: Ledger, database: Database, ask: Callable[[Db], Awaitable[Found]]
) -> Found | None:
    """None unless `history` holds, unharmed, all that this ledger holds now."""
    head = await ledger.head()
    try:
        async with database.acquire() as db:
            at = await cursor.live(db, "history")
            is_whole = at.ledger == head.ledger and at.sequence >= head.sequence
            return await ask(db) if is_whole else None
    except (Damaged, Unavailable):
        return None


async def _read_to(ledger: Ledger, time: Instant) -> int:
    last = 0
    async for recorded in ledger.read():
        if recorded.envelope.time > time:
            break
        last = recorded.sequence
    return last
