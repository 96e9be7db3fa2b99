"""Takes up again what was set aside, when somebody asks for it: in order, until the line is open."""

import logging
from functools import partial
from uuid import UUID

import msgspec
from msgspec import Struct

from commands import dead_letters
from commands.ports import Message, Unavailable
from commands.transact import because
from domain.dead_letter import Discarded, Letter, Parked, Retried
from domain.events import Recorded, Request, subject_of
from domain.identity import reaction as derived
from workers import attempts
from workers.letters import FAILURES_MAX, RETRY_SECONDS, DeadLetter, Post, died, kept_under
from workers.reactor import (
    Done,
    Failed,
    Ignored,
    Outcome,
    Reaction,
    Result,
    Retry,
    aggregate_key,
    attempt,
    on_event,
)

log = logging.getLogger("ictus.retries")

BUG_SECONDS = 30.0
SUBJECTS = ("ictus.ev.*.dead-letter.*.retried", "ictus.ev.*.dead-letter.*.discarded")


def retries(reaction: Reaction, post: Post) -> Reaction:
    """The reaction that takes up again what `reaction` set aside."""
    return Reaction(
        f"{reaction.name}-letters",
        post.ledger,
        SUBJECTS,
        on_event(partial(_take_up, reaction, post)),
        aggregate_key,
    )


async def _take_up(reaction: Reaction, post: Post, recorded: Recorded) -> Outcome:
    """A bug in here must not make letters of letters."""
    try:
        return await _work_off(reaction, post, recorded)
    except Unavailable:
        raise
    except Exception as bug:  # noqa: BLE001  the boundary
        log.error("not taken up", extra={"reaction": reaction.name, "cause": type(bug).__name__})
        return Retry(BUG_SECONDS)


async def _work_off(reaction: Reaction, post: Post, recorded: Recorded) -> Outcome:
    """From the head of the line on, until one is stuck or the line is open."""
    event = recorded.event
    if not isinstance(event, Retried | Discarded) or event.consumer != reaction.name:
        return Ignored()
    while letter := (await dead_letters.load(post.books.ledger, recorded.aggregate_id)).ready:
        outcome = await _again(reaction, post, recorded, letter)
        if isinstance(outcome, Retry):
            return outcome
    return Done()


async def _again(
    reaction: Reaction, post: Post, recorded: Recorded, letter: Letter
) -> Done | Ignored | Retry:
    """One letter once more. Counted before it is tried, since it may kill its worker."""
    parked = letter.parked
    sequence = parked.sequence
    key = f"{reaction.name}/{parked.letter}/{letter.parkings}"
    note = await attempts.change(post.board, key, lambda n: attempts.counted(n, sequence))
    result = await _result(reaction, post, letter, note)
    tried = min(note.attempts, FAILURES_MAX)
    match result:
        case Retry():
            await attempts.change(post.board, key, lambda n: attempts.uncounted(n, sequence))
            return result
        case Failed() if not result.lasting and tried < FAILURES_MAX:
            await attempts.change(post.board, key, lambda n: attempts.with_failure(n, result))
            return Retry(RETRY_SECONDS[tried - 1])
        case Failed():
            await _park_again(reaction, post, recorded, letter, result, tried)
        case _:
            request = _anew(reaction, post, recorded, derived(parked.letter, "handled"))
            await dead_letters.handle(post.books, request, recorded.aggregate_id, parked.letter)
    await attempts.change(post.board, key, lambda n: attempts.left(n, sequence))
    return Done()


async def _result(reaction: Reaction, post: Post, letter: Letter, note: attempts.Note) -> Result:
    if note.attempts > FAILURES_MAX:
        return note.failed or died(reaction)

    async def react() -> Outcome | Failed:
        message = await _kept(reaction, post, letter.parked)
        return await reaction.react(message) if message else Failed("gone", "gone", reaction.name)

    return await attempt(reaction.name, react)


async def _park_again(
    reaction: Reaction, post: Post, recorded: Recorded, letter: Letter, failed: Failed, tried: int
) -> None:
    parked = msgspec.structs.replace(
        letter.parked,
        cause=failed.cause,
        error=failed.error,
        fingerprint=failed.fingerprint,
        attempts=tried,
        version=post.version,
        behind=None,
    )
    id_ = derived(parked.letter, f"parked/{letter.parkings}")
    request = _anew(reaction, post, recorded, id_)
    await dead_letters.park(post.books, request, recorded.aggregate_id, parked)
    log.error("stuck again", extra={"reaction": reaction.name, "sequence": parked.sequence})


class Kept(Struct, frozen=True):
    """Implements `commands.ports.Message` for what was acknowledged when it was set aside."""

    subject: str
    data: bytes
    sequence: int
    deliveries: int = 1

    async def ack(self) -> None: ...
    async def retry(self, delay_s: float) -> None: ...
    async def working(self) -> None: ...


async def _kept(reaction: Reaction, post: Post, parked: Parked) -> Message | None:
    """The message as it came; None when it is kept no longer."""
    if parked.stream == post.ledger and parked.aggregate_id:
        history = await post.books.ledger.load(parked.aggregate, parked.aggregate_id)
        return next(
            (
                Kept(subject_of(found.aggregate_id, found.event), found.payload, found.sequence)
                for found in history
                if found.sequence == parked.sequence
            ),
            None,
        )
    data = await post.queue.latest(post.letters, kept_under(reaction, parked.letter))
    if data is None:
        return None
    letter = msgspec.json.decode(data, type=DeadLetter)
    return Kept(letter.subject, letter.data, letter.sequence)


def _anew(reaction: Reaction, post: Post, recorded: Recorded, id_: UUID) -> Request:
    return msgspec.structs.replace(because(post.books, recorded, reaction.name), id=id_)
