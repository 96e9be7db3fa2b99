"""Sets aside what a worker could not do, and what comes after it of the same case.

What became of a message is told in the ledger, by the events of its line; the message itself is kept
in the dead-letter stream, since not every message is an event of the ledger.
"""

import logging
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from commands import dead_letters
from commands.ports import Board, Message, Queue, Unavailable
from commands.transact import Books
from domain.dead_letter import Parked
from domain.events import Request
from domain.identity import part, reaction as derived
from workers.reactor import Failed, Reaction, aggregate_of

log = logging.getLogger("ictus.dead_letters")

FAILURES_MAX = 5
RETRY_SECONDS = (0.5, 1, 2, 5, 10)
SUBJECT_ROOT = "ictus.dlq"


class Post(NamedTuple):
    """What setting aside needs. `ledger` and `letters` are the streams' names, `version` the code's."""

    books: Books
    queue: Queue
    board: Board
    ledger: str
    letters: str
    version: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """`fingerprint` groups failures of the same cause; `data` is the message as it came."""

    consumer: str
    subject: str
    sequence: int
    reason: str
    fingerprint: str
    attempts: int
    data: bytes


class Place(Struct, frozen=True):
    """Where a message belongs: its own letter, in a line."""

    letter: UUID
    line: UUID
    note: str
    correlation: UUID
    event_id: UUID | None = None
    about: tuple[str, UUID] | None = None


class _Ids(Struct, frozen=True):
    """The part of an event that even a later version keeps."""

    id: UUID
    correlationid: UUID


def died(reaction: Reaction) -> Failed:
    """No attempt came to an end."""
    return Failed("worker-died", "worker-died", reaction.name)


async def place_of(reaction: Reaction, post: Post, message: Message) -> Place:
    """Raises Unavailable."""
    about = aggregate_of(reaction.key(message))
    ids = _ids(message) if reaction.stream == post.ledger else None
    letter = derived(ids.id, reaction.name) if ids else await _derived(reaction, post, message)
    line = derived(about[1], f"line/{reaction.name}") if reaction.ordered and about else letter
    return Place(
        letter=letter,
        line=line,
        note=f"{reaction.name}/{line}",
        correlation=ids.correlationid if ids else letter,
        event_id=ids.id if ids else None,
        about=about,
    )


async def set_aside(
    reaction: Reaction, post: Post, message: Message, place: Place, failed: Failed, tried: int
) -> None:
    """Tells whom it concerns, keeps the message, notes the failure; repeating it changes nothing."""
    await _give_up(reaction, message)
    await _keep(reaction, post, message, place, failed, tried)
    parked = _parked(reaction, post, message, place, failed, tried)
    request = _request(reaction, post, place)
    await dead_letters.park(post.books, request, place.line, parked)
    log.error("set aside", extra={"reaction": reaction.name, "sequence": message.sequence})


async def wait_behind(reaction: Reaction, post: Post, message: Message, place: Place) -> bool:
    """False if nothing stands before it (any more)."""
    behind = Failed("behind", "", "")
    parked = _parked(reaction, post, message, place, behind, 0)
    request = _request(reaction, post, place)
    waits = await dead_letters.wait(post.books, request, place.line, parked)
    if waits:
        log.warning("waits", extra={"reaction": reaction.name, "sequence": message.sequence})
    return waits


async def _give_up(reaction: Reaction, message: Message) -> None:
    """What nobody can speak about any more is set aside all the same."""
    if reaction.give_up is None:
        return
    try:
        await reaction.give_up(message)
    except Unavailable:
        raise
    except Exception as bug:  # noqa: BLE001  the boundary: poison must not block the rest
        extra = {"reaction": reaction.name, "cause": type(bug).__name__}
        log.error("gave up in silence", extra=extra)


async def _keep(
    reaction: Reaction, post: Post, message: Message, place: Place, failed: Failed, tried: int
) -> None:
    letter = DeadLetter(
        consumer=reaction.name,
        subject=message.subject,
        sequence=message.sequence,
        reason=f"{failed.error}:{failed.place}" if failed.cause == "failed" else failed.cause,
        fingerprint=failed.fingerprint,
        attempts=tried,
        data=message.data,
    )
    subject = kept_under(reaction, place.letter)
    await post.queue.publish(subject, msgspec.json.encode(letter), message_id=str(place.letter))


def _parked(
    reaction: Reaction, post: Post, message: Message, place: Place, failed: Failed, tried: int
) -> Parked:
    aggregate, aggregate_id = place.about or ("", None)
    return Parked(
        letter=place.letter,
        consumer=reaction.name,
        stream=reaction.stream,
        sequence=message.sequence,
        cause=failed.cause,
        error=failed.error,
        fingerprint=failed.fingerprint if failed.error else "",
        attempts=tried,
        version=post.version,
        event_id=place.event_id,
        aggregate=aggregate,
        aggregate_id=aggregate_id,
    )


def _request(reaction: Reaction, post: Post, place: Place) -> Request:
    """The first time a message is set aside; later ones follow somebody's wish to try again."""
    return Request(
        id=derived(place.letter, "parked"),
        actor=f"worker:{reaction.name}",
        source=f"/ictus/{reaction.name}",
        time=post.books.clock.now(),
        correlation=place.correlation,
        cause=place.event_id,
    )


def kept_under(reaction: Reaction, letter: UUID) -> str:
    """The subject in the dead-letter stream."""
    return f"{SUBJECT_ROOT}.{reaction.name}.{part(letter)}.dead-letter.{letter}"


def _ids(message: Message) -> _Ids | None:
    try:
        return msgspec.json.decode(message.data, type=_Ids)
    except (msgspec.ValidationError, msgspec.DecodeError):
        return None


async def _derived(reaction: Reaction, post: Post, message: Message) -> UUID:
    """A stream that was made anew counts from one again, so the data are part of the id."""
    digest = sha256(message.data).hexdigest()
    words = ("letter", reaction.name, reaction.stream, str(message.sequence), digest)
    return await post.books.vault.derive(*words)
