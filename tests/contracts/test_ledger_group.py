"""Many writers at once, imports, and histories that are kept: fast, and still right."""

import asyncio
from collections.abc import Awaitable
from uuid import uuid4

import pytest
from nats.aio.client import Client

from adapters.storage import histories
from adapters.storage.commits import EVENTS_MAX
from adapters.storage.group_commit import WORTH_A_BATCH
from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.streams import LEDGER, provision
from commands.ports import Commit, Conflict, Damaged
from domain.events import Request
from tests.contracts.lossy import LossyLine
from tests.contracts.writing import commit_to, event, insist, new_request, notices, read

MANY = 4 * WORTH_A_BATCH


async def together(*appends: Awaitable[int]) -> list[int | BaseException]:
    return await asyncio.gather(*appends, return_exceptions=True)


async def batch_of(client: Client, sequence: int) -> str:
    """The batch that stored it, empty for a plain message."""
    message = await client.jetstream().get_msg(LEDGER, sequence)
    return str((message.headers or {}).get("Nats-Batch-Id", ""))


# Group commit


async def test_writers_of_different_cases_share_a_batch_and_each_gets_its_sequence(
    nats_client: Client,
) -> None:
    ledger, people = JetStreamLedger(nats_client), [uuid4() for _ in range(MANY)]

    sequences = await together(
        *(ledger.append(new_request(), [commit_to(person, "a")]) for person in people)
    )

    stored = {recorded.aggregate_id: recorded.sequence for recorded in await read(ledger)}
    assert stored == dict(zip(people, sequences, strict=True))
    assert len({await batch_of(nats_client, number + 1) for number in range(MANY)}) == 1


async def test_who_is_alone_or_in_small_company_goes_as_plain_messages(
    nats_client: Client,
) -> None:
    ledger = JetStreamLedger(nats_client)

    await ledger.append(new_request(), [commit_to(uuid4(), "a")])
    await together(
        *(ledger.append(new_request(), [commit_to(uuid4(), "a")]) for _ in range(WORTH_A_BATCH - 1))
    )

    assert {await batch_of(nats_client, number + 1) for number in range(WORTH_A_BATCH)} == {""}


async def test_a_case_never_moves_twice_in_one_batch(nats_client: Client) -> None:
    """The server would take both, and the chain would fork."""
    ledger, person = JetStreamLedger(nats_client), uuid4()
    crowd = [commit_to(uuid4(), "other") for _ in range(MANY)]

    outcomes = await together(
        *(ledger.append(new_request(), [commit]) for commit in crowd),
        ledger.append(new_request(), [commit_to(person, "mine")]),
        ledger.append(new_request(), [commit_to(person, "theirs")]),
    )

    assert [type(outcome) for outcome in outcomes[-2:]] == [int, Conflict]
    assert notices(await ledger.load("person", person)) == ["mine"]


async def test_one_conflict_in_a_batch_is_nobody_elses(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await ledger.append(new_request(), [commit_to(person, "first")])
    commits = [commit_to(uuid4(), "a") for _ in range(MANY)]
    commits[MANY // 2] = commit_to(person, "stale")

    outcomes = await together(*(ledger.append(new_request(), [commit]) for commit in commits))

    assert [index for index, each in enumerate(outcomes) if isinstance(each, Conflict)] == [
        MANY // 2
    ]
    assert sorted(each for each in outcomes if isinstance(each, int)) == list(range(2, MANY + 1))


async def test_a_request_repeated_in_a_crowd_is_stored_once(nats_client: Client) -> None:
    ledger, request, commit = JetStreamLedger(nats_client), new_request(), commit_to(uuid4(), "a")
    first = await ledger.append(request, [commit])
    crowd = [commit_to(uuid4(), "other") for _ in range(MANY)]

    again, *others = await together(
        ledger.append(request, [commit]), *(ledger.append(new_request(), [each]) for each in crowd)
    )

    assert again == first
    assert sorted(others, key=str) == sorted(range(2, MANY + 2), key=str)
    assert (await ledger.head()).sequence == MANY + 1


async def test_a_lost_answer_to_a_batch_is_no_conflict_for_anyone(
    lossy: tuple[LossyLine, Client],
) -> None:
    line, client = lossy
    ledger = JetStreamLedger(client)
    await ledger.append(new_request(), [commit_to(uuid4(), "before")])
    line.armed = True

    sequences = await together(
        *(ledger.append(new_request(), [commit_to(uuid4(), "a")]) for _ in range(MANY))
    )

    assert not line.armed
    assert sorted(sequences, key=str) == sorted(range(2, MANY + 2), key=str)
    assert len(await read(ledger)) == MANY + 1


async def test_a_writer_that_gives_up_takes_nobody_along(nats_client: Client) -> None:
    ledger = JetStreamLedger(nats_client)
    writing = [
        asyncio.create_task(ledger.append(new_request(), [commit_to(uuid4(), "a")]))
        for _ in range(MANY)
    ]
    await asyncio.sleep(0)
    writing[0].cancel()

    outcomes = await together(*writing)

    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert len({outcome for outcome in outcomes[1:] if isinstance(outcome, int)}) == MANY - 1


async def test_a_crowd_that_insists_on_few_cases_lands_once_and_in_order(
    nats_client: Client,
) -> None:
    ledger, people = JetStreamLedger(nats_client), [uuid4() for _ in range(8)]

    await asyncio.gather(*(insist(ledger, people[number % 8], str(number)) for number in range(64)))

    for person in people:
        assert len({*notices(await ledger.load("person", person))}) == 8


# Imports


def imported(count: int) -> list[tuple[Request, Commit]]:
    return [(new_request(), commit_to(uuid4(), str(number))) for number in range(count)]


async def test_an_import_is_stored_whole_in_order_and_in_batches(nats_client: Client) -> None:
    ledger, writes = JetStreamLedger(nats_client), imported(EVENTS_MAX + 10)

    last = await ledger.append_many(iter(writes))

    history = await read(ledger)
    assert last == len(writes) == len(history)
    assert [recorded.aggregate_id for recorded in history] == [
        commit.aggregate_id for _, commit in writes
    ]
    assert await batch_of(nats_client, 1) == await batch_of(nats_client, EVENTS_MAX) != ""
    assert await batch_of(nats_client, EVENTS_MAX + 1) != await batch_of(nats_client, 1)


async def test_an_import_may_be_repeated_from_its_beginning(nats_client: Client) -> None:
    ledger, writes = JetStreamLedger(nats_client), imported(30)
    await ledger.append_many(writes[:20])

    assert await ledger.append_many(writes) == 30
    assert len(await read(ledger)) == 30


async def test_an_import_that_contradicts_the_ledger_is_a_conflict(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await ledger.append(new_request(), [commit_to(person, "first")])

    with pytest.raises(Conflict):
        await ledger.append_many([*imported(3), (new_request(), commit_to(person, "other"))])

    assert notices(await ledger.load("person", person)) == ["first"]


async def test_an_import_of_nothing_stores_nothing(nats_client: Client) -> None:
    assert await JetStreamLedger(nats_client).append_many([]) == 0


async def test_the_second_commit_to_a_case_waits_for_the_next_batch(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await ledger.append(new_request(), [commit_to(person, "a")])
    (first,) = await ledger.load("person", person)
    stale = (new_request(), commit_to(person, "c", after=first))

    with pytest.raises(Conflict):
        await ledger.append_many([(new_request(), commit_to(person, "b", after=first)), stale])

    assert notices(await ledger.load("person", person)) == ["a", "b"]


# Kept histories


async def test_a_kept_history_grows_by_what_others_append(nats_client: Client) -> None:
    here, there, person = JetStreamLedger(nats_client), JetStreamLedger(nats_client), uuid4()
    await insist(here, person, "a")

    for notice in "bcd":
        await here.load("person", person)
        await insist(there, person, notice)

    assert notices(await here.load("person", person)) == ["a", "b", "c", "d"]


async def test_a_kept_history_is_never_what_the_caller_made_of_it(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await insist(ledger, person, "a")

    (await ledger.load("person", person)).clear()

    assert notices(await ledger.load("person", person)) == ["a"]


async def test_a_kept_history_that_the_ledger_lost_is_forgotten(nats_client: Client) -> None:
    """As after a rollback of the store: the same sequences hold other events."""
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await insist(ledger, person, "lost")
    await insist(ledger, person, "lost too")
    assert len(await ledger.load("person", person)) == 2

    await nats_client.jetstream().delete_stream(LEDGER)
    await provision(nats_client, "demo")
    assert await ledger.load("person", person) == []

    await ledger.append(new_request(), [commit_to(person, "new")])
    assert notices(await ledger.load("person", person)) == ["new"]


async def test_a_broken_chain_is_found_behind_a_kept_history(nats_client: Client) -> None:
    ledger, person = JetStreamLedger(nats_client), uuid4()
    await insist(ledger, person, "a")
    (first,) = await ledger.load("person", person)
    forged = Commit("person", person, (event(),), expected=first.sequence, prevhash="1" * 64)
    await ledger.append(new_request(), [forged])

    for _ in range(2):
        with pytest.raises(Damaged, match="sequence 2"):
            await ledger.load("person", person)


async def test_the_histories_kept_are_bounded(
    nats_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histories, "KEPT_EVENTS_MAX", 10)
    ledger, people = JetStreamLedger(nats_client), [uuid4() for _ in range(6)]
    for person in people:
        await ledger.append(new_request(), [commit_to(person, "a", "b", "c")])

    for person in people * 2:
        assert len(await ledger.load("person", person)) == 3

    assert len(ledger._histories._kept) == 3
    assert ledger._histories._kept_events == 9
