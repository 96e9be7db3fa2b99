"""Micro-batches: who goes together, who goes first, and who pays for whose mistake."""

import asyncio
from collections.abc import Iterator, Sequence
from threading import Event, get_ident

import pytest

from workers.inference.batcher import LATER, Batcher


class Model:
    """Doubles; remembers its batches; waits while `closed`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.open = Event()
        self.open.set()
        self.at_work = Event()

    def run(self, batch: Sequence[int]) -> Sequence[int]:
        self.at_work.set()
        self.open.wait()
        self.threads.add(get_ident())
        self.batches.append(list(batch))
        if any(item < 0 for item in batch):
            raise ValueError("negative")
        return [2 * item for item in batch]


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    made = Batcher(weight_max=4)
    yield made
    made.close()


@pytest.fixture
def model() -> Model:
    return Model()


async def held(model: Model, batcher: Batcher) -> asyncio.Task[int]:
    """The thread is at work on item 0, until the model is open."""
    model.open.clear()
    first = asyncio.create_task(batcher.run(model.run, 0))
    await asyncio.to_thread(model.at_work.wait)
    return first


async def released(model: Model, *waiting: "asyncio.Future[int]") -> list[object]:
    await asyncio.sleep(0)
    model.open.set()
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_comes_alone_goes_at_once(model: Model, batcher: Batcher) -> None:
    assert await batcher.run(model.run, 21) == 42
    assert model.batches == [[21]]


async def test_what_gathers_while_the_thread_is_at_work_goes_together(
    model: Model, batcher: Batcher
) -> None:
    first = await held(model, batcher)
    more = [asyncio.create_task(batcher.run(model.run, item)) for item in (1, 2, 3)]
    assert await released(model, first, *more) == [0, 2, 4, 6]
    assert model.batches == [[0], [1, 2, 3]]
    assert len(model.threads) == 1


async def test_a_batch_is_never_heavier_than_allowed_but_for_one_that_is_so_alone(
    model: Model, batcher: Batcher
) -> None:
    first = await held(model, batcher)
    weights = {1: 3, 2: 2, 3: 9, 4: 1}
    more = [asyncio.create_task(batcher.run(model.run, i, w)) for i, w in weights.items()]
    assert await released(model, first, *more) == [0, 2, 4, 6, 8]
    assert model.batches == [[0], [1], [2], [3], [4]]


async def test_different_models_do_not_meet(model: Model, batcher: Batcher) -> None:
    other = Model()
    first = await held(model, batcher)
    mixed = [(model, 1), (other, 2), (other, 3)]
    more = [asyncio.create_task(batcher.run(each.run, item)) for each, item in mixed]
    assert await released(model, first, *more) == [0, 2, 4, 6]
    assert (model.batches, other.batches) == ([[0], [1]], [[2, 3]])


async def test_those_whom_somebody_waits_for_go_first(model: Model, batcher: Batcher) -> None:
    shadow = Model()
    first = await held(model, batcher)
    later = asyncio.create_task(batcher.run(shadow.run, 1, urgency=LATER))
    now = asyncio.create_task(batcher.run(model.run, 2))
    order: list[str] = []
    later.add_done_callback(lambda _: order.append("later"))
    now.add_done_callback(lambda _: order.append("now"))
    await released(model, first, later, now)
    assert order == ["now", "later"]


async def test_nobody_suffers_for_anothers_item(model: Model, batcher: Batcher) -> None:
    first = await held(model, batcher)
    more = [asyncio.create_task(batcher.run(model.run, item)) for item in (1, -1, 3)]
    told = await released(model, first, *more)
    assert [told[at] for at in (0, 1, 3)] == [0, 2, 6]
    assert isinstance(told[2], ValueError)


async def test_who_has_gone_is_not_worked_for(model: Model, batcher: Batcher) -> None:
    first = await held(model, batcher)
    gone = asyncio.create_task(batcher.run(model.run, 1))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await released(model, first)
    assert await batcher.run(model.run, 2) == 4
    assert model.batches == [[0], [2]]


async def test_a_batch_may_wait_for_more(model: Model) -> None:
    patient = Batcher(weight_max=2, linger_s=600.0)
    assert await asyncio.gather(*(patient.run(model.run, item) for item in (1, 2))) == [2, 4]
    assert model.batches == [[1, 2]]
    patient.close()


async def test_closing_ends_the_thread_when_all_is_done(model: Model, batcher: Batcher) -> None:
    wished = asyncio.create_task(batcher.run(model.run, 1))
    await asyncio.sleep(0)
    batcher.close()
    assert await wished == 2
    await asyncio.to_thread(batcher.join)
