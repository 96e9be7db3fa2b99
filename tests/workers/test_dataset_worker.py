"""Parts of datasets as items of work: asked for, folded once or twice, given up, left behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from msgspec import json
from msgspec.structs import replace

from adapters.storage.memory import MemoryBlobs, MemoryLedger, MemoryQueue
from adapters.storage.streams import DATASETS
from commands.ports import Damaged, Unavailable
from domain.errors import Refused
from projections.builder import build
from projections.part import Portion, fold
from projections.spec import Spec
from tests.givens import Given
from tests.projections.copied import LEDGER, CopiedLedger
from workers.dataset import asking, worker
from workers.dataset.items import (
    ROLE,
    SUBJECTS,
    Item,
    Means,
    Result,
    decode,
    done_key,
    encode,
    folder,
    open_key,
)

SPEC = Spec(hold_out_sites=("demo-2",))
BUILD = "20260101T000000-test"


class FlakyBlobs(MemoryBlobs):
    """The first writes of a part fail."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def put(self, key: str, data: bytes) -> None:
        if key.endswith(".part") and self.failures:
            self.failures -= 1
            raise Unavailable("the object store is away")
        await super().put(key, data)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(worker, "AWAY_SECONDS", 0.01)


@pytest.fixture
def given() -> Given:
    return Given(MemoryLedger())


@pytest.fixture
async def ledger(given: Given) -> CopiedLedger:
    """Cases of every kind, two of them of one patient."""
    cases = await given.ward(8)
    await given.linked(cases[0], cases[5])
    return CopiedLedger([recorded async for recorded in given.ledger.read()])


@pytest.fixture
def means(ledger: CopiedLedger) -> Means:
    return Means(ledger, MemoryBlobs(), MemoryQueue())


@asynccontextmanager
async def workers(means: Means, count: int) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run(means, DATASETS)) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def item_for(ledger: CopiedLedger) -> Item:
    head = len(ledger.events)
    return Item(BUILD, Portion(ledger=LEDGER, head=head, until=head, shard=0, of=2, spec=SPEC))


async def handled(means: Means, item: Item) -> Result | None:
    """What a worker leaves of one delivery of the item."""
    await means.queue.publish(item.subject, json.encode(item), message_id=item.id)
    async for message in means.queue.consume(DATASETS, ROLE, SUBJECTS):
        await worker.handle(means, message)
        break
    key = done_key(item.build, item.portion.shard)
    return decode(await means.blobs.get(key)) if await means.blobs.exists(key) else None


async def kept(means: Means) -> list[str]:
    return [key async for key in means.blobs.keys("dataset/")]


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (1, 5), (3, 7)])
async def test_workers_build_what_this_machine_would_and_nothing_stays_behind(
    means: Means, given: Given, count: int, parts: int
) -> None:
    told: list[tuple[int, int]] = []
    async with workers(means, count):
        dataset = await asking.build(
            means,
            SPEC,
            60,
            parts=parts,
            now=given.now,
            progress=lambda *numbers: told.append(numbers),
        )
    assert dataset == await build(means.ledger, SPEC, 60)
    assert dataset.encoded
    assert told
    assert await kept(means) == []


async def test_a_result_that_cannot_be_kept_is_folded_again(
    ledger: CopiedLedger, given: Given
) -> None:
    means = Means(ledger, FlakyBlobs(3), MemoryQueue())
    async with workers(means, 2):
        dataset = await asking.build(means, SPEC, parts=2, now=given.now)
    assert dataset == await build(ledger, SPEC)


async def test_without_workers_it_is_said_after_a_while_what_to_do(
    means: Means, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SILENCE_SECONDS_MAX", 0.05)
    with pytest.raises(Unavailable, match=r"0 of 3 parts .*is `ictus run dataset-worker` running"):
        await asking.build(means, SPEC, parts=3, now=given.now)
    assert await kept(means) == []


async def test_nobody_folds_what_nobody_waits_for(means: Means, ledger: CopiedLedger) -> None:
    assert await handled(means, item_for(ledger)) is None
    assert await kept(means) == []


async def test_what_is_done_is_not_done_again(means: Means, ledger: CopiedLedger) -> None:
    item = item_for(ledger)
    before = Result(trouble="done by another")
    await means.blobs.put(open_key(BUILD), b"")
    await means.blobs.put(done_key(BUILD, 0), encode(before))
    assert await handled(means, item) == before


async def test_a_part_is_the_same_bytes_from_every_worker(
    means: Means, ledger: CopiedLedger
) -> None:
    item = item_for(ledger)
    await means.blobs.put(open_key(BUILD), b"")
    result = await handled(means, item)
    assert result == Result(await fold(ledger, item.portion))
    assert result.part
    assert result.part.leaves


async def test_a_part_that_cannot_be_folded_ends_the_build_with_the_reason(
    means: Means, ledger: CopiedLedger, given: Given
) -> None:
    item = item_for(ledger)
    await means.blobs.put(open_key(BUILD), b"")
    old = replace(item, portion=replace(item.portion, projector="rows@0"))
    result = await handled(means, old)
    assert result
    assert "one version of ictus" in result.trouble

    gap = replace_ledger(means, CopiedLedger([e for e in ledger.events if e.sequence != 7]))
    async with workers(gap, 1):
        with pytest.raises(Damaged, match="not folded: the ledger has no event 7 "):
            await asking.build(gap, SPEC, parts=2, now=given.now)
    ahead = len(ledger.events) + 1
    with pytest.raises(Refused, match="there is no event"):
        await asking.build(means, SPEC, ahead, parts=2, now=given.now)


async def test_a_part_that_kills_its_workers_is_given_up(
    means: Means, ledger: CopiedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DELIVERIES_MAX", 0)
    await means.blobs.put(open_key(BUILD), b"")
    result = await handled(means, item_for(ledger))
    assert result
    assert "workers died of it" in result.trouble


async def test_another_versions_item_does_not_stop_a_worker(
    means: Means, ledger: CopiedLedger
) -> None:
    await means.queue.publish("ictus.dataset.x.0", b'{"build": 1}', message_id="x")
    await means.blobs.put(open_key(BUILD), b"")
    async for message in means.queue.consume(DATASETS, ROLE, SUBJECTS):
        await worker.handle(means, message)
        break
    result = await handled(means, item_for(ledger))
    assert result
    assert result.part


async def test_what_a_killed_build_left_is_swept_after_a_day(means: Means, given: Given) -> None:
    day = timedelta(days=1)
    for age in (day / 2, day * 2):
        name = f"{given.now - age:{asking.NAMED_BY_TIME}}-left"
        await means.blobs.put(done_key(name, 0), b"rows")
    await asking.sweep(means.blobs, given.now)
    young = folder(f"{given.now - day / 2:{asking.NAMED_BY_TIME}}-left")
    assert await kept(means) == [f"{young}0.part"]


def replace_ledger(means: Means, ledger: CopiedLedger) -> Means:
    return Means(ledger, means.blobs, MemoryQueue())
