"""Micro-batches: what several cases want of a model at about the same time goes through it together.

One thread per process runs them, since a session has one thread too: more cores take more processes.
While a batch is at work the next one gathers; `linger_s` lets a batch wait for more even when the
thread is idle, which a GPU may be worth and a CPU is not.
"""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from queue import Empty, PriorityQueue
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Run = Callable[[Sequence[T]], Sequence[R]]

NOW, LATER, AT_LAST = 0, 1, 2
"""Those whom somebody waits for go first; at last the thread ends."""


class Wish(NamedTuple):
    """`number` keeps the order among equals, and those behind it from ever being compared."""

    urgency: int
    number: int
    run: Run[Any, Any]
    item: Any
    weight: int
    until: float
    future: "asyncio.Future[Any] | None"


class Batcher:
    """`weight_max` bounds a batch, in whatever the callers weigh; a heavier item goes alone."""

    def __init__(self, weight_max: int, linger_s: float = 0.0) -> None:
        self._weight_max, self._linger_s = weight_max, linger_s
        self._wishes: PriorityQueue[Wish] = PriorityQueue()
        self._numbers = count()
        self._thread = Thread(target=self._work, name="inference", daemon=True)
        self._thread.start()

    async def run(self, run: Run[T, R], item: T, weight: int = 1, *, urgency: int = NOW) -> R:
        """The item's result of `run`, which takes a batch of items and gives as many results.

        Items meet only where `run` is equal. What fails for a batch is tried again one by one, so
        that nobody suffers for another's item. Raises what `run` raises.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        until = monotonic() + self._linger_s
        self._wishes.put(Wish(urgency, next(self._numbers), run, item, weight, until, future))
        return await future

    def close(self) -> None:
        """Ends the thread once everything wished for is done."""
        self._wishes.put(Wish(AT_LAST, next(self._numbers), _nothing, None, 0, 0.0, None))

    def join(self) -> None:
        """Waits for the end of the thread."""
        self._thread.join()

    def _work(self) -> None:
        while (first := self._wishes.get()).future is not None:
            _fulfil(self._gathered(first))

    def _gathered(self, first: Wish) -> list[Wish]:
        """Those that may go together, up to the first that may not: it keeps its place in line."""
        batch, weight = [first], first.weight
        while weight < self._weight_max and (wish := self._next(first.until)):
            weight += wish.weight
            if wish.run != first.run or weight > self._weight_max:
                self._wishes.put(wish)
                break
            batch.append(wish)
        return batch

    def _next(self, until: float) -> Wish | None:
        try:
            left = until - monotonic()
            return self._wishes.get(timeout=left) if left > 0 else self._wishes.get_nowait()
        except Empty:
            return None


def _fulfil(batch: Sequence[Wish]) -> None:
    wanted = [wish for wish in batch if wish.future and not wish.future.cancelled()]
    if not wanted:
        return
    try:
        results = wanted[0].run([wish.item for wish in wanted])
    except Exception as error:  # noqa: BLE001  it is raised where the item came from
        if len(wanted) > 1:
            for wish in wanted:
                _fulfil([wish])
            return
        _tell(wanted, [error])
        return
    _tell(wanted, results)


def _tell(batch: Sequence[Wish], results: Sequence[Any]) -> None:
    """In the loop of those who wait: one wake-up for the whole batch."""
    assert batch[0].future
    loop = batch[0].future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, batch, list(results))


def _settle(batch: Sequence[Wish], results: Sequence[Any]) -> None:
    for wish, result in zip(batch, results, strict=True):
        if wish.future is None or wish.future.done():
            continue
        if isinstance(result, Exception):
            wish.future.set_exception(result)
        else:
            wish.future.set_result(result)


def _nothing(items: Sequence[None]) -> Sequence[None]:
    return items
