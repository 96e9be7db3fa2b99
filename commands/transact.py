"""Load, decide, append: the one way events come into the ledger."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from commands.ports import Clock, Commit, Conflict, Ledger, Unavailable, Vault
from domain.events import NO_HASH, Event, Kind, Recorded, Request, fold
from domain.identity import event_id, reaction
from domain.sealed import additional_data, sealed_fields

ATTEMPTS_MAX = 8


class Books(NamedTuple):
    """What a command works with."""

    ledger: Ledger
    vault: Vault
    clock: Clock


class Target(NamedTuple):
    kind: Kind
    id: UUID


Decide = Callable[..., Sequence[Sequence[Event]]]


async def transact(
    books: Books, request: Request, kind: Kind, aggregate_id: UUID, decide: Callable[[Any], Any]
) -> bool:
    """Applies `decide(state) -> events` to one aggregate; False when it was so already."""
    return await transact_all(
        books, request, [Target(kind, aggregate_id)], lambda state: [decide(state)]
    )


async def transact_all(
    books: Books, request: Request, targets: Sequence[Target], decide: Decide
) -> bool:
    """Applies `decide(*states) -> events per target` to several aggregates, all or nothing.

    A request that was stored before changes nothing. Raises what `decide` raises, Unavailable.
    """
    for _ in range(ATTEMPTS_MAX):
        histories = [await books.ledger.load(kind.name, id_) for kind, id_ in targets]
        if _was_stored(request, targets, histories):
            return False
        states = [fold(kind, past) for (kind, _), past in zip(targets, histories, strict=True)]
        decided = decide(*states)
        commits = [
            await _commit(books.vault, request, target, past, events)
            for target, past, events in zip(targets, histories, decided, strict=True)
            if events
        ]
        if not commits:
            return False
        try:
            await books.ledger.append(request, commits)
        except Conflict:
            continue
        return True
    raise Unavailable(f"{targets[0].kind.name} {targets[0].id} is changed too often")


def from_outside(books: Books, request_id: UUID, actor: str, role: str) -> Request:
    """A request that came from a person or another system."""
    return Request(
        id=request_id,
        actor=actor,
        source=f"/ictus/{role}",
        time=books.clock.now(),
        correlation=request_id,
    )


def because(books: Books, cause: Recorded, reactor: str) -> Request:
    """What the worker `reactor` does because of an event."""
    return Request(
        id=reaction(cause.id, reactor),
        actor=f"worker:{reactor}",
        source=f"/ictus/{reactor}",
        time=books.clock.now(),
        correlation=cause.envelope.correlationid,
        cause=cause.id,
    )


def _was_stored(
    request: Request, targets: Sequence[Target], histories: Sequence[Sequence[Recorded]]
) -> bool:
    return any(
        event_id(request.id, kind.name, id_, 0) in {recorded.id for recorded in past}
        for (kind, id_), past in zip(targets, histories, strict=True)
    )


async def _commit(
    vault: Vault,
    request: Request,
    target: Target,
    past: Sequence[Recorded],
    events: Sequence[Event],
) -> Commit:
    sealed = [await _seal(vault, request, target, index, e) for index, e in enumerate(events)]
    return Commit(
        aggregate=target.kind.name,
        aggregate_id=target.id,
        events=tuple(sealed),
        expected=past[-1].sequence if past else 0,
        prevhash=past[-1].hash if past else NO_HASH,
    )


async def _seal(vault: Vault, request: Request, target: Target, index: int, event: Event) -> Event:
    """Seals the event's personal fields with the aggregate's own key, bound to event and field."""
    id_ = event_id(request.id, target.kind.name, target.id, index)
    key = f"{target.kind.name}/{target.id}"
    fields = {
        name: await vault.seal(key, additional_data(id_, name), field.box)
        for name, field in sealed_fields(event)
        if not field.key
    }
    return replace(event, **fields)
