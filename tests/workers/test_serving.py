"""Models come and go under load, shadows are asked and not heard, and no case pays for it."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from adapters.storage.nats_connection import connect
from adapters.storage.streams import provision
from commands import models
from domain.audience import audience
from domain.case import PredictionProduced
from domain.events import Event
from domain.model import NAME as MODEL_NAME
from tests.servers import NatsServer
from tests.workers.reacting import eventually
from tests.workers.serving import House

CASES = 40


@pytest.fixture
async def house(fresh_nats: NatsServer, tmp_path: Path) -> AsyncIterator[House]:
    async with await connect(fresh_nats.url, "test") as client:
        await provision(client, "demo")
        yield House(client, tmp_path)


async def test_a_model_is_swapped_under_load_and_no_case_fails(house: House) -> None:
    first, second = [await house.release(version) for version in ("1a", "1b")]
    await house.promote(first, "demo")
    due = [await house.due_case() for _ in range(CASES)]

    async def predicted(number: int) -> bool:
        return sum([bool((await house.state(case)).prediction) for case in due]) >= number

    async with house.working():
        await eventually(lambda: predicted(3), "predictions")
        await house.promote(second, "demo")
        due += [await house.due_case() for _ in range(CASES // 4)]
        await eventually(lambda: predicted(len(due)), "predictions")

    said = [await told(house, case, PredictionProduced) for case in due]
    assert {len(each) for each in said} == {1}
    assert {each.model for (each,) in said} == {first, second}
    assert said[-1][0].model == second


async def test_what_a_shadow_says_is_kept_and_nobodys_answer(house: House) -> None:
    champion = await house.release("1")
    shadow = await house.release("2", synthetic=False)
    await house.promote(champion, "demo")
    await house.promote(shadow, "shadow")
    case = await house.due_case()

    async with house.working():
        await eventually(lambda: shadowed(house, case), "the shadow")
        await house.due(case)

    state = await house.state(case)
    assert isinstance(state.prediction, PredictionProduced)
    assert (state.prediction.model, state.prediction.role) == (champion, "demo")
    assert (state.shadows[shadow].model, state.shadows[shadow].role) == (shadow, "shadow")
    assert state.shadows[shadow].ranked == state.prediction.ranked
    assert state.answer is None
    assert len(await told(house, case, type(state.shadows[shadow]))) == 1


async def test_where_nobody_answers_a_shadow_is_asked_all_the_same(house: House) -> None:
    await house.promote(await house.release("2", synthetic=False), "shadow")
    case = await house.due_case()
    async with house.working():
        await eventually(lambda: shadowed(house, case), "the shadow")
    assert (await house.state(case)).prediction is None


async def test_a_shadow_that_fails_fails_no_case(house: House) -> None:
    champion = await house.release("1")
    shadow = await house.release("2", synthetic=False)
    await house.promote(champion, "demo")
    await house.promote(shadow, "shadow")
    await house.damage(shadow)
    case = await house.due_case()

    async def settled() -> bool:
        return not await house.queue.backlog("ICTUS_SCHED", "inference")

    async with house.working():
        await eventually(lambda: answered(house, case), "an answer")
        await eventually(settled, "the queue")
    state = await house.state(case)
    assert isinstance(state.prediction, PredictionProduced)
    assert not state.shadows


async def test_a_challenger_answers_its_site_and_taking_it_back_gives_the_site_back(
    house: House,
) -> None:
    champion = await house.release("1")
    challenger = await house.release("2", synthetic=False)
    await house.promote(champion, "demo")
    await house.promote(challenger, "challenger", audience("site:north"))
    north, south = await house.due_case("north"), await house.due_case("south")

    async with house.working():
        for case in (north, south):
            await eventually(lambda case=case: answered(house, case), "an answer")
        await models.rollback(house.books, house.operator())
        later = await house.due_case("north")
        await eventually(lambda: answered(house, later), "an answer")

    answers = [(await house.state(case)).prediction for case in (north, south, later)]
    assert [answer.model for answer in answers if answer] == [challenger, champion, champion]
    kinds = [r.event async for r in house.books.ledger.read(aggregate=MODEL_NAME)]
    assert type(kinds[-1]).__name__ == "Retired"


async def answered(house: House, case: UUID) -> bool:
    return (await house.state(case)).prediction is not None


async def shadowed(house: House, case: UUID) -> bool:
    return bool((await house.state(case)).shadows)


async def told(house: House, case: UUID, kind: type[Event]) -> list[Event]:
    history = await house.books.ledger.load("case", case)
    return [recorded.event for recorded in history if isinstance(recorded.event, kind)]
