"""What a worker is to the loop that drives it: a reaction, its outcomes, and one attempt at it.

Delivery is at least once: a message is acknowledged only after its effects are durable, so reacting
twice must change nothing. `workers.loop` runs a reaction, `workers.letters` keeps what failed.
"""

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Erased, Message, Unavailable
from domain.dead_letter import Cause
from domain.errors import Refused
from domain.events import Recorded, decode

log = logging.getLogger("ictus.reactor")
T = TypeVar("T")

AWAY_SECONDS = 1.0
HOUSE = Path(__file__).resolve().parents[1]
ROOMS = ("adapters", "commands", "domain", "workers")


class Done(Struct, frozen=True):
    """Its effects are durable."""


class Ignored(Struct, frozen=True):
    """Nothing to do: not ours, overtaken, or done before."""


class Retry(Struct, frozen=True):
    """The world is away; try again after a while, for as long as it takes."""

    after_s: float = 1.0


class Poison(Struct, frozen=True):
    """It will never work: set aside with the reason (an enum word, never a payload)."""

    reason: str


Outcome = Done | Ignored | Retry | Poison


class Failed(Struct, frozen=True):
    """Why an attempt failed. `place` is the function of ours where it did, without line numbers;
    what is `lasting` is not worth another attempt."""

    cause: Cause
    error: str
    place: str
    lasting: bool = True

    @property
    def fingerprint(self) -> str:
        """The same for failures of the same kind at the same place."""
        return sha256(f"{self.error}/{self.place}".encode()).hexdigest()[:16]


Result = Done | Ignored | Retry | Failed


class Reaction(NamedTuple):
    """What one durable consumer does. `key` orders, `give_up` speaks when it became poison.

    With `ordered`, the key is `<part>.<aggregate>.<id>`, and no event of an aggregate is handled
    while an earlier one of it is tried again or set aside.
    """

    name: str
    stream: str
    subjects: Sequence[str]
    react: Callable[[Message], Awaitable[Outcome]]
    key: Callable[[Message], str]
    give_up: Callable[[Message], Awaitable[None]] | None = None
    ordered: bool = False


def on_event(react: Callable[[Recorded], Awaitable[T]]) -> Callable[[Message], Awaitable[T]]:
    """Lets a reaction take the ledger's events instead of raw messages."""

    async def react_to(message: Message) -> T:
        return await react(decode(message.sequence, message.data))

    return react_to


def aggregate_key(message: Message) -> str:
    """The order of `ictus.<…>.<part>.<aggregate>.<id>…` subjects: one aggregate at a time."""
    return ".".join(message.subject.split(".")[2:5])


def aggregate_of(key: str) -> tuple[str, UUID] | None:
    """What `<part>.<aggregate>.<id>` names; None for any other key."""
    try:
        _, aggregate, id_ = key.split(".")
        return aggregate, UUID(id_)
    except ValueError:
        return None


async def attempt(name: str, act: Callable[[], Awaitable[Outcome | Failed]]) -> Result:
    """What came of it; never raises but when it is cancelled."""
    try:
        outcome = await act()
    except Unavailable as away:
        log.warning("unavailable", extra={"reaction": name, "cause": str(away)[:200]})
        return Retry(AWAY_SECONDS)
    except Erased:
        return Ignored()
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return _failed("not-understood", error)
    except Refused as error:
        return _failed("refused", error)
    except Exception as error:  # noqa: BLE001  the boundary: a bug in one message must not stop the rest
        return _failed("failed", error)
    if isinstance(outcome, Poison):
        return Failed("declined", outcome.reason, name)
    return outcome


def _failed(cause: Cause, error: Exception) -> Failed:
    return Failed(cause, type(error).__name__, _place(error), lasting=cause != "failed")


def _place(error: Exception) -> str:
    """The innermost function of this house on the way of the error, else just the innermost."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if path.is_relative_to(HOUSE) and path.relative_to(HOUSE).parts[0] in ROOMS:
            return f"{path.relative_to(HOUSE).as_posix()}:{frame.name}"
    return f"{Path(frames[-1].filename).name}:{frames[-1].name}"
