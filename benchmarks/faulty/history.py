"""The judge: what clients were told against what the ledger holds.

Nothing acknowledged is missing (lost), nothing is there twice or unasked (doubled), and everything
stands where clients were told and in the order they were told it (reordered). What a client was
not told may be there once or not at all, but never in part.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import count, groupby
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.events import NO_HASH, Kind, Recorded
from domain.identity import event_id

Wrong = Literal["lost", "doubled", "reordered"]


class Part(NamedTuple):
    """How many events an operation puts on one aggregate."""

    aggregate: str
    aggregate_id: UUID
    events: int


class Operation(Struct):
    """What a client asked and was told.

    `invoked` and `acked` are moments on one clock of all clients (any growing integers); `sequence`
    is the acknowledged one of its last event; None where only its presence was told, later.
    """

    request: UUID
    parts: tuple[Part, ...]
    invoked: int
    acked: int | None = None
    sequence: int | None = None

    def ids(self) -> list[UUID]:
        return [
            event_id(self.request, part.aggregate, part.aggregate_id, index)
            for part in self.parts
            for index in range(part.events)
        ]


class Finding(NamedTuple):
    wrong: Wrong
    sentence: str


class Folding(NamedTuple):
    """How an aggregate's state is digested, and which digest an event's decision was made on."""

    kind: Kind
    digest: Callable[[Any], str]
    believed: Callable[[Recorded], str]


def judge(
    operations: Sequence[Operation], log: Sequence[Recorded], folding: Folding
) -> list[Finding]:
    """`log` is the whole ledger, read back in the order it came."""
    checks = (_gaps(log), _presence(operations, log), _places(operations, log))
    found = [finding for check in checks for finding in check]
    aggregates: defaultdict[str, list[Recorded]] = defaultdict(list)
    for recorded in log:
        aggregates[recorded.envelope.subject].append(recorded)
    asked = {id_: operation for operation in operations for id_ in operation.ids()}
    for history in aggregates.values():
        found += [*_chain(history), *_real_time(history, asked), *_beliefs(history, asked, folding)]
    return found


def judge_follower(followed: Sequence[Recorded], log: Sequence[Recorded]) -> list[Finding]:
    """A follower gets every event once, in the order of the log."""
    seen, held = ([(each.sequence, each.id) for each in events] for events in (followed, log))
    if seen == held:
        return []
    missing, extra = Counter(held) - Counter(seen), Counter(seen) - Counter(held)
    wrongs: dict[Wrong, Counter[tuple[int, UUID]]] = {"lost": missing, "doubled": extra}
    found = [
        Finding(wrong, f"a follower: sequence {sequence}")
        for wrong, events in wrongs.items()
        for sequence, _ in events.elements()
    ]
    return found or [Finding("reordered", "a follower got the events in another order")]


def tally(findings: Sequence[Finding]) -> dict[str, int]:
    counted = Counter(finding.wrong for finding in findings)
    return {wrong: counted[wrong] for wrong in ("lost", "doubled", "reordered")}


def _gaps(log: Sequence[Recorded]) -> Iterator[Finding]:
    """Sequences are 1, 2, 3 ... without a hole."""
    expected = 1
    for recorded in log:
        if recorded.sequence > expected:
            yield Finding("lost", f"no event has a sequence from {expected} on")
        elif recorded.sequence < expected:
            yield Finding("reordered", f"sequence {recorded.sequence} came after {expected - 1}")
        expected = max(expected, recorded.sequence + 1)


def _presence(operations: Sequence[Operation], log: Sequence[Recorded]) -> Iterator[Finding]:
    """Each event at most once, the acknowledged exactly once, an operation wholly or not at all."""
    there = Counter(recorded.id for recorded in log)
    for operation in operations:
        ids = operation.ids()
        if operation.acked is None and not any(there[id_] for id_ in ids):
            continue
        for id_ in ids:
            if not there[id_]:
                yield Finding("lost", f"event {id_} of request {operation.request}")
    for id_, times in there.items():
        for _ in range(times - 1):
            yield Finding("doubled", f"event {id_} is there {times} times")
    asked = {id_ for operation in operations for id_ in operation.ids()}
    for id_ in there.keys() - asked:
        yield Finding("doubled", f"nobody asked for event {id_}")


def _places(operations: Sequence[Operation], log: Sequence[Recorded]) -> Iterator[Finding]:
    """The last event of an operation stands at its acknowledged sequence, the others just before."""
    held = {recorded.sequence: recorded.id for recorded in log}
    present = set(held.values())
    for operation in operations:
        if operation.sequence is None:
            continue
        for sequence, id_ in zip(count(operation.sequence, -1), operation.ids()[::-1]):
            if id_ in present and held.get(sequence) != id_:
                yield Finding("reordered", f"event {id_} was acknowledged as {sequence}")


def _chain(history: Sequence[Recorded]) -> Iterator[Finding]:
    prevhash = NO_HASH
    for recorded in history:
        if recorded.envelope.prevhash != prevhash:
            yield Finding("reordered", f"the chain breaks at sequence {recorded.sequence}")
        prevhash = recorded.hash


def _real_time(history: Sequence[Recorded], asked: dict[UUID, Operation]) -> Iterator[Finding]:
    """What was acknowledged before another operation was even asked stands before it."""
    latest = -1
    for recorded in history:
        operation = asked.get(recorded.id)
        if not operation:
            continue
        if operation.acked is not None and operation.acked < latest:
            yield Finding("reordered", f"sequence {recorded.sequence} was acknowledged earlier")
        latest = max(latest, operation.invoked)


def _beliefs(
    history: Sequence[Recorded], asked: dict[UUID, Operation], folding: Folding
) -> Iterator[Finding]:
    """Every decision was made on the state that the events before it fold to."""
    kind = folding.kind
    state = kind.initial
    for operation, commit in groupby(history, key=lambda recorded: asked.get(recorded.id)):
        digest = folding.digest(state)
        for recorded in commit:
            if operation and folding.believed(recorded) != digest:
                yield Finding("reordered", f"{recorded.sequence} was decided on another state")
            state = kind.evolve(state, recorded.event, recorded.id)
