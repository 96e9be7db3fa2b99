"""Promoting, taking back and asking who answers, in a ledger."""

from uuid import UUID, uuid4

import pytest

from adapters.storage.memory import MemoryLedger, MemoryVault
from commands import models
from commands.register import Register
from commands.transact import Books, from_outside
from domain.audience import audience
from domain.case import Opened
from domain.errors import NotPassed, Refused
from domain.events import MODEL, Request
from domain.model import ModelRole
from tests.domain.test_model import registered, report
from tests.givens import Given
from tests.workers.reacting import Now


class World:
    def __init__(self) -> None:
        self.books = Books(MemoryLedger(), MemoryVault(), Now())
        self.given = Given(self.books.ledger)
        self.register = Register(self.books.ledger, MODEL)

    def request(self) -> Request:
        return from_outside(self.books, uuid4(), "system", "cli")

    async def model(self, passed: bool = True) -> UUID:
        id_ = uuid4()
        await self.given.happened(MODEL.name, id_, registered(), report(passed))
        return id_

    async def promote(self, model: UUID, role: ModelRole = "champion", words: str = "all") -> bool:
        return await models.promote(self.books, self.request(), model, role, audience(words))

    async def rollback(self) -> tuple[UUID, UUID | None]:
        return await models.rollback(self.books, self.request())

    async def champion(self) -> UUID | None:
        found = await models.serving(self.register)
        return found and found[0]

    async def answers(self, site: str) -> UUID | None:
        opened = Opened(code="A", site=site, patient=uuid4(), origin="bot", by=UUID(int=1))
        found = await models.answering(self.register, UUID(int=5), opened)
        return found and found[0]


@pytest.fixture
def world() -> World:
    return World()


async def test_a_champion_leaves_when_another_comes(world: World) -> None:
    first, second = await world.model(), await world.model()
    await world.promote(first)
    await world.promote(second)
    known = await world.register.refresh()
    assert (known[first].role, known[second].role) == (None, "champion")
    assert not await world.promote(second)


async def test_rolling_back_goes_back_step_by_step_and_then_nobody_answers(world: World) -> None:
    first, second, third = [await world.model() for _ in range(3)]
    for model in (first, second, third):
        await world.promote(model)
    assert await world.rollback() == (third, second)
    assert await world.champion() == second
    assert await world.rollback() == (second, first)
    assert await world.rollback() == (first, None)
    assert await world.champion() is None
    with pytest.raises(Refused, match="nothing to take back"):
        await world.rollback()


async def test_a_challenger_answers_its_site_until_it_is_taken_back(world: World) -> None:
    champion, challenger = await world.model(), await world.model()
    await world.promote(champion)
    await world.promote(challenger, "challenger", "site:north")
    assert [await world.answers(site) for site in ("north", "south")] == [challenger, champion]
    assert await world.rollback() == (challenger, None)
    assert await world.answers("north") == champion


async def test_what_failed_its_test_since_is_not_brought_back(world: World) -> None:
    first, second = await world.model(), await world.model()
    await world.promote(first)
    await world.promote(second)
    await world.given.happened(MODEL.name, first, report(False))
    with pytest.raises(NotPassed):
        await world.rollback()
    assert await world.champion() == second
