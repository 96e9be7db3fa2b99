"""What cannot be handled is set aside with what follows it, and everything else flows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from adapters.storage.nats_connection import connect
from adapters.storage.streams import DEAD_LETTERS, INBOX, provision
from commands.ports import Message
from tests.servers import NatsServer
from tests.workers.reacting import ACK_WAIT_S, Mortal, Patient, World, eventually, process
from workers import loop, retries
from workers.letters import DeadLetter, kept_under
from workers.reactor import Done, Outcome, Poison, Reaction

QUICK = (0.01, 0.01, 0.01, 0.01, 0.01)
KILLS = range(2, 150)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "RETRY_SECONDS", QUICK)
    monkeypatch.setattr(retries, "RETRY_SECONDS", QUICK)
    monkeypatch.setattr(loop, "TURN_SECONDS", 0.01)
    monkeypatch.setattr(loop, "DRAIN_SECONDS_MAX", 0.001)


@pytest.fixture
async def on_nats(fresh_nats: NatsServer) -> AsyncIterator[World]:
    async with await connect(fresh_nats.url, "world") as client:
        await provision(client, "demo")
        yield World.on(client)


@pytest.fixture(params=["memory", "jetstream"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return World.in_memory()
    found: World = request.getfixturevalue("on_nats")
    return found


async def parked(world: World, patient: Patient, count: int) -> None:
    async def is_so() -> bool:
        return len((await world.line(patient)).letters) == count

    await eventually(is_so, f"{count} letters in line")


async def opened(world: World, patient: Patient, count: int) -> None:
    async def is_so() -> bool:
        line = await world.line(patient)
        return not line.letters and len(world.handled_of(patient)) == count

    await eventually(is_so, "an open line")


async def test_the_poisoned_case_waits_in_line_and_the_others_flow(world: World) -> None:
    patients = [Patient(uuid4()) for _ in range(20)]
    poisoned, *others = patients
    world.poison = {"poison"}
    async with process(world), process(world):
        await world.happen(poisoned, "poison")
        await eventually(lambda: world.is_held(poisoned), "the first failure")
        for patient in patients:
            await world.happen(patient, "b", "c")
        await parked(world, poisoned, 3)
        for patient in others:
            await opened(world, patient, 2)

    assert await world.standings(poisoned) == [
        ("poison", "stuck"),
        ("b", "waiting"),
        ("c", "waiting"),
    ]
    assert world.tries.count("poison") == 5
    assert world.handled_of(poisoned) == []


async def test_after_a_retry_the_line_is_worked_off_in_order_and_open_again(world: World) -> None:
    patient = Patient(uuid4())
    world.poison = {"a"}
    async with process(world):
        await world.happen(patient, "a", "b", "c")
        await parked(world, patient, 3)
        world.poison = set()
        await world.retry(patient)
        await world.happen(patient, "d")
        await opened(world, patient, 4)
        await world.happen(patient, "e")
        await opened(world, patient, 5)

    assert world.handled_of(patient) == ["a", "b", "c", "d", "e"]


async def test_a_retry_that_fails_is_stuck_again_after_five_tries(world: World) -> None:
    patient = Patient(uuid4())
    world.poison = {"a"}
    async with process(world):
        await world.happen(patient, "a", "b")
        await parked(world, patient, 2)
        await world.retry(patient)

        async def is_stuck_again() -> bool:
            head = (await world.line(patient)).head
            return head is not None and (head.parkings, head.standing) == (2, "stuck")

        await eventually(is_stuck_again, "the retry to fail")

    assert world.tries == ["a"] * 10
    assert await world.standings(patient) == [("a", "stuck"), ("b", "waiting")]


async def test_what_is_discarded_is_skipped(world: World) -> None:
    patient = Patient(uuid4())
    world.poison = {"a"}
    async with process(world):
        await world.happen(patient, "a", "b", "c")
        await parked(world, patient, 3)
        head = (await world.line(patient)).head
        assert head is not None
        await world.discard(patient, head.parked.letter)
        await opened(world, patient, 2)

    assert world.handled_of(patient) == ["b", "c"]


async def test_one_behind_the_first_that_fails_in_its_turn_stops_the_line(world: World) -> None:
    patient = Patient(uuid4())
    world.poison = {"a", "b"}
    async with process(world):
        await world.happen(patient, "a", "b", "c")
        await parked(world, patient, 3)
        world.poison = {"b"}
        await world.retry(patient)

        async def is_stuck() -> bool:
            return await world.standings(patient) == [("b", "stuck"), ("c", "waiting")]

        await eventually(is_stuck, "the second to be stuck")

    assert world.handled_of(patient) == ["a"]


async def test_later_events_wait_while_the_first_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "RETRY_SECONDS", (0.2,) * 5)
    patient = Patient(uuid4())
    world.poison = {"a"}

    async def mend() -> bool:
        if world.tries.count("a") > 1:
            world.poison = set()
        return len(world.handled_of(patient)) == 3

    async with process(world), process(world):
        await world.happen(patient, "a")
        await eventually(lambda: world.is_held(patient), "the first failure")
        await world.happen(patient, "b", "c")
        await eventually(mend, "all to be handled")

    assert world.handled_of(patient) == ["a", "b", "c"]
    assert await world.standings(patient) == []


# Whatever dies


async def _lived_through(world: World, kills: Sequence[int]) -> None:
    """A case fails once; from then on processes die at these calls, until one stays."""
    poisoned, others = Patient(uuid4()), [Patient(uuid4()) for _ in range(2)]
    world.poison = {"a"}
    async with process(world):
        await world.happen(poisoned, "a")
        await eventually(lambda: world.is_held(poisoned), "the first failure")
    for patient in (poisoned, *others):
        await world.happen(patient, "b", "c")
    for number, calls_max in enumerate(kills):
        await _until_dead(world, calls_max)
        if number == len(kills) // 2 and (await world.line(poisoned)).head:
            world.poison = set()
            await world.retry(poisoned)
    async with process(world):
        if world.poison:
            await parked(world, poisoned, 3)
            world.poison = set()
            await world.retry(poisoned)
        await opened(world, poisoned, 3)
        for patient in others:
            await opened(world, patient, 2)
    assert world.handled_of(poisoned) == ["a", "b", "c"]


async def _until_dead(world: World, calls_max: int) -> None:
    """A process that has nothing to do lives on; then it is killed as well."""
    life = Mortal(calls_max)
    async with process(world, life.post(world.post)):
        with suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                await life.dead.wait()


async def test_killed_at_any_call_nothing_is_lost_and_the_order_is_kept() -> None:
    """Before the line is closed, while it is, and while it is worked off."""
    lives = [*((number,) for number in KILLS), *((150, number) for number in KILLS)]
    for at in range(0, len(lives), 50):
        some = lives[at : at + 50]
        await asyncio.gather(*(_lived_through(World.in_memory(), kills) for kills in some))


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_killed_again_and_again_nothing_is_lost_and_the_order_is_kept(kills: list[int]) -> None:
    asyncio.run(_lived_through(World.in_memory(), kills))


@pytest.mark.parametrize("kills", [(9,), (20, 14), (33, 5, 17)])
async def test_killed_on_a_real_server_nothing_is_lost_and_the_order_is_kept(
    on_nats: World, kills: tuple[int, ...]
) -> None:
    await _lived_through(on_nats, kills)


async def test_what_was_discarded_while_its_acknowledgement_was_lost_is_not_tried_again() -> None:
    world, patient = World.in_memory(), Patient(uuid4())
    world.poison = {"a"}
    four_retries, publishing = 4 * 2, 2
    life = Mortal(four_retries + publishing + 1)
    async with process(world, life.post(world.post, calls_of_streams_only=True)):
        await world.happen(patient, "a")
        await life.dead.wait()
    [letter] = (await world.line(patient)).letters
    await world.discard(patient, letter)
    world.poison = set()

    async with process(world):
        await world.happen(patient, "b")
        await opened(world, patient, 1)
        await asyncio.sleep(2 * ACK_WAIT_S)

    assert world.handled_of(patient) == ["b"]


async def test_what_kills_its_worker_is_set_aside_after_five_deaths(world: World) -> None:
    patient, other = Patient(uuid4()), Patient(uuid4())

    async def dying(message: Message) -> Outcome:
        world.tries.append("dying")
        return await asyncio.Event().wait()  # type: ignore[func-returns-value]

    deadly = world.reaction(ordered=True)._replace(react=dying)
    await world.happen(patient, "a")
    for death in range(1, 7):
        async with process(world, reaction=deadly):
            await eventually(lambda n=death: _tried(world, n), "the next death")
    async with process(world, reaction=deadly):
        await parked(world, patient, 1)
    async with process(world):
        await world.happen(other, "b")
        await opened(world, other, 1)

    head = (await world.line(patient)).head
    assert head is not None
    assert (head.parked.cause, head.parked.attempts) == ("worker-died", 5)
    assert world.tries.count("dying") == 6


async def _tried(world: World, count: int) -> bool:
    return world.tries.count("dying") >= count


# What belongs to no case


async def test_a_message_of_no_case_is_set_aside_alone_and_the_person_is_told(
    world: World,
) -> None:
    told, done = [], []
    poison = {b"poison"}

    async def react(message: Message) -> Outcome:
        if message.data in poison:
            return Poison("telegram-400")
        done.append((message.sequence, message.data))
        return Done()

    async def give_up(message: Message) -> None:
        told.append(message.data)

    async def handled() -> bool:
        return len(done) == 2

    reaction = Reaction(
        "bot", INBOX, ("ictus.in.>",), react, lambda message: message.subject, give_up
    )
    async with process(world, reaction=reaction):
        await world.post.queue.publish("ictus.in.telegram.1.2", b"poison", message_id="1")
        await world.post.queue.publish("ictus.in.telegram.1.2", b"good", message_id="2")
        await eventually(lambda: _all_parked(world, 1), "the letter")
        [line] = (await world.letters()).values()
        [letter] = line.letters.values()
        poison.clear()
        await world.retry_letter(letter.parked.letter, letter.parked.letter)
        await eventually(handled, "the retry")
        kept = await world.post.queue.latest(
            DEAD_LETTERS, kept_under(reaction, letter.parked.letter)
        )

    assert told == [b"poison"]
    assert done == [(2, b"good"), (1, b"poison")]
    assert (letter.parked.cause, letter.parked.error) == ("declined", "telegram-400")
    assert kept is not None
    assert msgspec.json.decode(kept, type=DeadLetter).subject == "ictus.in.telegram.1.2"


async def _all_parked(world: World, count: int) -> bool:
    return len(await world.letters()) == count
