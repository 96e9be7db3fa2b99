"""What every ledger must do: the one in memory, JetStream on a server alone and on a cluster."""

import asyncio
from uuid import UUID, uuid4

import pytest

from adapters.storage.commits import EVENTS_MAX
from commands.ports import Commit, Conflict, Damaged, Ledger
from tests.contracts.writing import (
    commit_to,
    event,
    followed,
    insist,
    new_request,
    notices,
    read,
)

# Appending


async def test_an_event_is_appended_and_loaded(ledger: Ledger) -> None:
    person, request = uuid4(), new_request()

    sequence = await ledger.append(request, [commit_to(person, "a")])
    (recorded,) = await ledger.load("person", person)

    assert (sequence, recorded.sequence) == (1, 1)
    assert recorded.event == event("a")
    assert (recorded.aggregate, recorded.aggregate_id) == ("person", person)
    assert recorded.envelope.actor == request.actor


async def test_several_events_of_a_commit_are_stored_in_order_and_chained(ledger: Ledger) -> None:
    person = uuid4()

    await ledger.append(new_request(), [commit_to(person, "a")])
    first = (await ledger.load("person", person))[-1]
    sequence = await ledger.append(new_request(), [commit_to(person, "b", "c", after=first)])
    history = await ledger.load("person", person)

    assert sequence == 3
    assert notices(history) == ["a", "b", "c"]
    assert history[2].envelope.prevhash == history[1].hash


async def test_several_aggregates_move_together(ledger: Ledger) -> None:
    one, other = uuid4(), uuid4()

    sequence = await ledger.append(new_request(), [commit_to(one, "a", "b"), commit_to(other, "c")])

    assert sequence == 3
    assert notices(await ledger.load("person", one)) == ["a", "b"]
    assert notices(await ledger.load("person", other)) == ["c"]


@pytest.mark.parametrize("more", [(), ("c",)])
async def test_a_stale_expectation_is_a_conflict(ledger: Ledger, more: tuple[str, ...]) -> None:
    person = uuid4()
    await ledger.append(new_request(), [commit_to(person, "a")])

    with pytest.raises(Conflict):
        await ledger.append(new_request(), [commit_to(person, "b", *more)])

    assert notices(await ledger.load("person", person)) == ["a"]


@pytest.mark.parametrize("turned", [False, True])
async def test_a_conflict_in_one_aggregate_stores_nothing_in_the_other(
    ledger: Ledger, turned: bool
) -> None:
    one, other = uuid4(), uuid4()
    await ledger.append(new_request(), [commit_to(one, "a")])
    commits = [commit_to(one, "b"), commit_to(other, "c")]

    with pytest.raises(Conflict):
        await ledger.append(new_request(), commits[::-1] if turned else commits)

    assert len(await read(ledger)) == 1


async def test_an_expectation_ahead_of_the_ledger_is_a_conflict(ledger: Ledger) -> None:
    person = uuid4()
    ahead = Commit("person", person, (event(),), expected=7)

    with pytest.raises(Conflict):
        await ledger.append(new_request(), [ahead])


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 2)])
async def test_a_repeated_request_is_stored_once(ledger: Ledger, sizes: tuple[int, ...]) -> None:
    request = new_request()
    commits = [commit_to(uuid4(), *"abc"[:size]) for size in sizes]

    first = await ledger.append(request, commits)
    await ledger.append(new_request(), [commit_to(uuid4(), "else")])

    assert await ledger.append(request, commits) == first
    assert len(await read(ledger)) == sum(sizes) + 1


async def test_the_same_request_makes_different_events_in_different_aggregates(
    ledger: Ledger,
) -> None:
    request = new_request()

    assert await ledger.append(request, [commit_to(uuid4(), "a")]) == 1
    assert await ledger.append(request, [commit_to(uuid4(), "a")]) == 2


@pytest.mark.parametrize(
    "commits",
    [
        [],
        [Commit("person", UUID(int=1), ())],
        [commit_to(UUID(int=1), "a"), commit_to(UUID(int=1), "b")],
        [commit_to(UUID(int=1), *"a" * (EVENTS_MAX + 1))],
        [commit_to(UUID(int=1), "a" * 256 * 1024)],
    ],
    ids=["nothing", "no event", "one aggregate twice", "too many events", "too large"],
)
async def test_what_no_ledger_takes_is_refused(ledger: Ledger, commits: list[Commit]) -> None:
    with pytest.raises(ValueError, match="at most"):
        await ledger.append(new_request(), commits)

    assert (await ledger.head()).sequence == 0


async def test_the_largest_commit_is_taken_whole(ledger: Ledger) -> None:
    person = uuid4()

    assert await ledger.append(new_request(), [commit_to(person, *"a" * EVENTS_MAX)]) == EVENTS_MAX
    assert len(await ledger.load("person", person)) == EVENTS_MAX


async def test_twenty_racing_writers_all_land_once_and_in_order(ledger: Ledger) -> None:
    person = uuid4()
    wanted = [str(number) for number in range(20)]

    sequences = await asyncio.gather(*(insist(ledger, person, notice) for notice in wanted))
    history = await ledger.load("person", person)

    assert sorted(notices(history)) == sorted(wanted)
    assert {r.sequence: n for r, n in zip(history, notices(history), strict=True)} == dict(
        zip(sequences, wanted, strict=True)
    )


# Reading


async def test_an_aggregate_without_events_loads_as_nothing(ledger: Ledger) -> None:
    assert await ledger.load("person", uuid4()) == []


async def test_a_broken_chain_is_damage(ledger: Ledger) -> None:
    person = uuid4()
    await ledger.append(new_request(), [Commit("person", person, (event(),), prevhash="1" * 64)])

    with pytest.raises(Damaged, match="sequence 1"):
        await ledger.load("person", person)


async def test_reading_goes_from_a_position_to_the_head(ledger: Ledger) -> None:
    for number in range(5):
        await ledger.append(new_request(), [commit_to(uuid4(), str(number))])

    assert notices(await read(ledger)) == ["0", "1", "2", "3", "4"]
    assert [recorded.sequence for recorded in await read(ledger, after=3)] == [4, 5]
    assert await read(ledger, after=5) == []


async def test_reading_may_keep_one_kind_of_aggregate(ledger: Ledger) -> None:
    await ledger.append(new_request(), [commit_to(uuid4(), "a")])

    assert await read(ledger, aggregate="case") == []
    assert len(await read(ledger, aggregate="person")) == 1


async def test_what_is_stored_is_what_reading_decodes(ledger: Ledger) -> None:
    for name in "abc":
        await ledger.append(new_request(), [commit_to(uuid4(), name)])
    for after in (0, 2, 3):
        stored = [each async for piece in ledger.stored(after) for each in piece]
        assert stored == [(each.sequence, each.payload) for each in await read(ledger, after)]
    with pytest.raises(Damaged):
        await anext(aiter(ledger.stored(4)))


async def test_a_reading_ends_where_the_ledger_stood_when_it_began(ledger: Ledger) -> None:
    for number in range(2):
        await ledger.append(new_request(), [commit_to(uuid4(), str(number))])

    seen = []
    async for recorded in ledger.read():
        seen.append(recorded.sequence)
        await ledger.append(new_request(), [commit_to(uuid4(), "new")])

    assert seen == [1, 2]


async def test_a_position_the_ledger_never_reached_is_damage(ledger: Ledger) -> None:
    with pytest.raises(Damaged):
        await read(ledger, after=1)


async def test_following_brings_the_past_and_then_what_comes(ledger: Ledger) -> None:
    await ledger.append(new_request(), [commit_to(uuid4(), "past"), commit_to(uuid4(), "past")])
    following = asyncio.create_task(followed(ledger, count=3, after=1))
    await asyncio.sleep(0.1)

    await ledger.append(new_request(), [commit_to(uuid4(), "new", "newer")])

    assert notices(await following) == ["past", "new", "newer"]


async def test_the_head_names_the_ledger_and_its_origin(ledger: Ledger) -> None:
    before = await ledger.head()
    await ledger.append(new_request(), [commit_to(uuid4(), "a")])
    after = await ledger.head()

    assert (before.origin, before.sequence, after.sequence) == ("demo", 0, 1)
    assert before.ledger == after.ledger
