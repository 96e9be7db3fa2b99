"""The judge on good and on bad histories: it finds what was done to them, and nothing else."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from random import Random
from uuid import UUID

from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from adapters.storage.memory import MemoryLedger
from benchmarks.faulty.history import Finding, Operation, Part, judge, judge_follower, tally
from benchmarks.faulty.workload import FOLDING, consent
from commands.ports import Commit
from domain.events import NO_HASH, PERSON, Recorded, Request, decode, encode, fold

History = tuple[list[Operation], list[Recorded]]
PEOPLE = [UUID(int=number) for number in range(1, 4)]


async def written(seed: int, operations: int = 12) -> History:
    """A right history: operations one after the other on a ledger in memory."""
    random, ledger, told = Random(seed), MemoryLedger(), []
    for number in range(operations):
        people = random.sample(PEOPLE, random.choice((1, 1, 2)))
        parts = tuple(Part("person", person, random.randint(1, 3)) for person in people)
        operation = Operation(UUID(int=random.getrandbits(128)), parts, invoked=2 * number)
        commits = [await decided(ledger, operation.request, part) for part in parts]
        operation.sequence = await ledger.append(request(operation.request), commits)
        operation.acked = 2 * number + 1
        told.append(operation)
    return told, [recorded async for recorded in ledger.read()]


async def decided(ledger: MemoryLedger, request_id: UUID, part: Part) -> Commit:
    past = await ledger.load(part.aggregate, part.aggregate_id)
    state = fold(PERSON, past)
    return Commit(
        part.aggregate,
        part.aggregate_id,
        tuple(consent(request_id, index, state) for index in range(part.events)),
        expected=past[-1].sequence if past else 0,
        prevhash=past[-1].hash if past else NO_HASH,
    )


def request(id_: UUID) -> Request:
    now = datetime.now(UTC)
    return Request(id=id_, actor="system", source="/ictus/test", time=now, correlation=id_)


def made(seed: int) -> History:
    return asyncio.run(written(seed))


def wrongs(told: Sequence[Operation], log: Sequence[Recorded]) -> set[str]:
    return {finding.wrong for finding in judge(told, log, FOLDING)}


def renumbered(log: Sequence[Recorded]) -> list[Recorded]:
    """As a ledger that noticed nothing would show it: without a gap."""
    return [decode(number, recorded.payload) for number, recorded in enumerate(log, start=1)]


def rewritten(recorded: Recorded, **changed: object) -> Recorded:
    return decode(recorded.sequence, encode(replace(recorded.envelope, **changed)))


judged = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32)
places = st.floats(0, 1, exclude_max=True)


def at(place: float, items: Sequence[object]) -> int:
    return int(place * len(items))


@judged
@given(seeds)
def test_a_right_history_is_right(seed: int) -> None:
    assert judge(*made(seed), FOLDING) == []


@judged
@given(seeds, places, st.booleans())
def test_a_lost_event_is_found(seed: int, place: float, hidden: bool) -> None:
    told, log = made(seed)
    del log[at(place, log)]

    assert "lost" in wrongs(told, renumbered(log) if hidden else log)


@judged
@given(seeds, places)
def test_a_lost_end_of_the_log_is_found(seed: int, place: float) -> None:
    told, log = made(seed)

    assert "lost" in wrongs(told, log[: at(place, log)])


@judged
@given(seeds, places, places)
def test_a_doubled_event_is_found(seed: int, place: float, other: float) -> None:
    told, log = made(seed)
    log.insert(at(other, log), log[at(place, log)])

    assert "doubled" in wrongs(told, renumbered(log))


@judged
@given(seeds, places)
def test_an_event_nobody_asked_for_is_found(seed: int, place: float) -> None:
    told, log = made(seed)
    stranger = told.pop(at(place, told))

    found = judge(told, log, FOLDING)

    assert tally(found)["doubled"] == len(stranger.ids())


@judged
@given(seeds, places, places)
def test_two_events_that_changed_places_are_found(seed: int, place: float, other: float) -> None:
    told, log = made(seed)
    one, two = at(place, log), at(other, log)
    log[one], log[two] = log[two], log[one]

    assert ("reordered" in wrongs(told, renumbered(log))) == (one != two)


@judged
@given(seeds, places)
def test_a_wrong_acknowledged_sequence_is_found(seed: int, place: float) -> None:
    told, log = made(seed)
    operation = told[at(place, told)]
    operation.sequence = (operation.sequence or 0) + 1

    assert "reordered" in wrongs(told, log)


@judged
@given(seeds, places)
def test_an_order_against_the_clock_of_the_clients_is_found(seed: int, place: float) -> None:
    """Its sequence was never told; but it was asked for after everything else was acknowledged."""
    told, log = made(seed)
    late = told[at(place, told)]
    late.sequence, late.invoked, late.acked = None, 1000, 1001
    people = {part.aggregate_id for part in late.parts}
    after = told[told.index(late) + 1 :]
    overtaken = any(part.aggregate_id in people for each in after for part in each.parts)

    assert ("reordered" in wrongs(told, log)) == overtaken


@judged
@given(seeds, places)
def test_a_broken_chain_is_found(seed: int, place: float) -> None:
    told, log = made(seed)
    which = at(place, log)
    log[which] = rewritten(log[which], prevhash="1" * 64)

    assert "reordered" in wrongs(told, log)


@judged
@given(seeds, places)
def test_a_decision_on_a_stale_state_is_found(seed: int, place: float) -> None:
    """Everything in order, chained and acknowledged, but decided on what was true earlier."""
    told, log = made(seed)
    which = at(place, log)
    stale = replace(log[which].envelope.data, text_sha256="0" * 64)  # type: ignore[type-var]
    log[which] = rewritten(log[which], data=stale)

    found = [each for each in judge(told, log, FOLDING) if "another state" in each.sentence]

    assert len(found) == 1


@judged
@given(seeds, places, st.sampled_from([lambda ids: ids[:1], lambda ids: ids[-1:]]))
def test_a_part_of_an_unacknowledged_operation_is_found(
    seed: int, place: float, kept: Callable[[list[UUID]], list[UUID]]
) -> None:
    told, log = made(seed)
    unsure = told[at(place, told)]
    unsure.acked = unsure.sequence = None
    ids = unsure.ids()
    gone = set(ids) - set(kept(ids))

    found = wrongs(told, [recorded for recorded in log if recorded.id not in gone])

    assert ("lost" in found) == bool(gone)


@judged
@given(seeds)
def test_what_was_never_acknowledged_may_be_there_or_not(seed: int) -> None:
    told, log = made(seed)
    last = told[-1]
    last.acked = last.sequence = None

    assert judge(told, log, FOLDING) == []
    assert judge(told, [each for each in log if each.id not in last.ids()], FOLDING) == []


@judged
@given(seeds, places, places)
def test_a_follower_must_get_the_log(seed: int, place: float, other: float) -> None:
    _, log = made(seed)
    one, two = at(place, log), at(other, log)
    swapped = log.copy()
    swapped[one], swapped[two] = swapped[two], swapped[one]

    def found(followed: Sequence[Recorded]) -> set[str]:
        return {finding.wrong for finding in judge_follower(followed, log)}

    assert found(log) == set()
    assert found([*log[:one], *log[one + 1 :]]) == {"lost"}
    assert found([*log[:one], log[two], *log[one:]]) == {"doubled"}
    assert found(swapped) == ({"reordered"} if one != two else set())


def test_findings_are_counted_by_kind() -> None:
    found = [Finding("lost", "a"), Finding("lost", "b"), Finding("doubled", "c")]

    assert tally(found) == {"lost": 2, "doubled": 1, "reordered": 0}
