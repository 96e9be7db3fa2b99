"""Writers that decide on what they load and insist until they know, and the operations they do.

Every event carries the digest of the state it was decided on, so that the log itself shows whether
a decision was made on another state than the one it was appended to.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from logging import getLogger
from random import Random
from typing import Any
from uuid import UUID

from msgspec import Struct, json

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryVault
from benchmarks.faulty.history import Folding, Operation, Part
from commands.ports import Commit, Damaged, Unavailable
from commands.transact import Books, Target, transact_all
from domain.events import PERSON, Recorded, Request
from domain.identity import Instant
from domain.person import Consented

AGGREGATES_AT_ONCE = 40
OPERATIONS_PER_AGGREGATE = 20
EVENTS_MAX = 5
SHARE_OF_TWO_AGGREGATES, SHARE_OF_SEVERAL_EVENTS = 0.1, 0.2
SHARE_ABANDONED = 0.02
ABANDONED_SECONDS_MAX = 0.02
OPERATION_SECONDS_MAX = 90.0
PAUSE_SECONDS = 0.2

log = getLogger(__name__)


class Planned(Struct, frozen=True):
    """An operation to do; with `abandoned_s` its first writer dies after that time."""

    request: UUID
    parts: tuple[Part, ...]
    abandoned_s: float | None = None


def planned(operations: int, seed: int) -> Iterator[Planned]:
    """The same operations for the same seed: a few aggregates at a time, so that writers meet."""
    random = Random(seed)
    aggregates = [_uuid(random) for _ in range(AGGREGATES_AT_ONCE)]
    for number in range(operations):
        if number % OPERATIONS_PER_AGGREGATE == 0:
            aggregates = [*aggregates[1:], _uuid(random)]
        drawn = random.random()
        two = drawn < SHARE_OF_TWO_AGGREGATES
        several = two or drawn < SHARE_OF_TWO_AGGREGATES + SHARE_OF_SEVERAL_EVENTS
        parts = tuple(
            Part("person", aggregate, random.randint(1 if two else 2, EVENTS_MAX) if several else 1)
            for aggregate in random.sample(aggregates, 2 if two else 1)
        )
        dies = random.random() < SHARE_ABANDONED
        after = random.uniform(0, ABANDONED_SECONDS_MAX)
        yield Planned(_uuid(random), parts, after if dies else None)


class Progress:
    """A count that others can wait for."""

    def __init__(self) -> None:
        self.reached_count = 0
        self._advanced = asyncio.Event()

    def advance(self) -> None:
        self.reached_count += 1
        self._advanced.set()
        self._advanced = asyncio.Event()

    async def reached(self, wanted: int) -> None:
        while self.reached_count < wanted:
            await self._advanced.wait()


class Clients:
    """Concurrent writers over several ledgers; `operations` is what they asked and were told."""

    def __init__(self, plan: Iterator[Planned]) -> None:
        self.operations: list[Operation] = []
        self.finished = Progress()
        self.counts: Counter[str] = Counter()
        self._plan = plan
        self._moments = count()

    async def write(self, ledger: JetStreamLedger) -> None:
        """Does operations until none is left."""
        telling = Telling(ledger)
        books = Books(telling, MemoryVault(), WallClock())  # type: ignore[arg-type]
        for wanted in self._plan:
            operation = Operation(wanted.request, wanted.parts, invoked=next(self._moments))
            self.operations.append(operation)
            if await self._insist(books, wanted):
                operation.sequence = telling.told.pop(wanted.request, None)
                operation.acked = next(self._moments)
            self.finished.advance()

    async def _insist(self, books: Books, wanted: Planned) -> bool:
        """False when it could not be known whether it is stored."""
        request, seconds = _request(wanted.request), wanted.abandoned_s
        with suppress(TimeoutError):
            async with asyncio.timeout(OPERATION_SECONDS_MAX):
                while True:
                    try:
                        await self._attempt(books, request, wanted.parts, seconds)
                    except Unavailable:
                        self.counts["retried"] += 1
                        await asyncio.sleep(PAUSE_SECONDS)
                    except (Damaged, RuntimeError) as error:
                        log.error("%s: %s", type(error).__name__, error)
                        return False
                    else:
                        return True
                    seconds = None
        return False

    async def _attempt(
        self, books: Books, request: Request, parts: Sequence[Part], seconds: float | None
    ) -> None:
        """Raises Unavailable also when the writer dies, since another one will try again."""
        try:
            async with asyncio.timeout(seconds):
                await _decide_and_append(books, request, parts)
        except TimeoutError as error:
            self.counts["abandoned"] += 1
            raise Unavailable("the writer died") from error


class Telling:
    """A ledger that notes what it told: the sequence of each request it appended."""

    def __init__(self, ledger: JetStreamLedger) -> None:
        self.told: dict[UUID, int] = {}
        self._ledger = ledger

    async def append(self, request: Request, commits: Sequence[Commit]) -> int:
        self.told[request.id] = await self._ledger.append(request, commits)
        return self.told[request.id]

    async def load(self, aggregate: str, aggregate_id: UUID) -> list[Recorded]:
        return await self._ledger.load(aggregate, aggregate_id)


class WallClock:
    def now(self) -> Instant:
        return datetime.now(UTC)


async def _decide_and_append(books: Books, request: Request, parts: Sequence[Part]) -> None:
    def decide(*states: Any) -> list[list[Consented]]:
        return [
            [consent(request.id, index, state) for index in range(part.events)]
            for part, state in zip(parts, states, strict=True)
        ]

    targets = [Target(PERSON, part.aggregate_id) for part in parts]
    await transact_all(books, request, targets, decide)


def consent(request: UUID, index: int, state: Any) -> Consented:
    """An event that says which state it was decided on."""
    return Consented(notice=f"{request}/{index}", language="en", text_sha256=digest(state))


def digest(state: Any) -> str:
    return sha256(json.encode(state, order="deterministic")).hexdigest()


def believed(recorded: Recorded) -> str:
    assert isinstance(recorded.event, Consented)
    return recorded.event.text_sha256


FOLDING = Folding(PERSON, digest, believed)


def _request(id_: UUID) -> Request:
    return Request(
        id=id_, actor="system", source="/ictus/faults", time=datetime.now(UTC), correlation=id_
    )


def _uuid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
