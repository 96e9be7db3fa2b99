"""Folds parts of datasets, one at a time: `ictus run dataset-worker`, on as many machines as you like.

An item is acknowledged when its result lies in the object store. A worker that dies before that only
delays: the item is delivered to another. Folding twice gives the same bytes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

import msgspec
from msgspec import json

from commands.ports import Blobs, Damaged, Message, Unavailable
from domain.errors import Refused
from projections import part
from projections.builder import Progress
from workers.dataset.items import (
    ROLE,
    SUBJECTS,
    Item,
    Means,
    Reached,
    Result,
    done_key,
    encode,
    item_of,
    open_key,
    reached_key,
)
from workers.loop import in_hand
from workers.reactor import AWAY_SECONDS

DELIVERIES_MAX = 5
REACHED_SECONDS = 2.0

log = logging.getLogger(__name__)


async def run(means: Means, stream: str) -> None:
    """For ever. While one item is in hand, no other is asked for: other workers may have it."""
    async for message in means.queue.consume(stream, ROLE, SUBJECTS):
        async with in_hand(message):
            with suppress(Unavailable):
                await handle(means, message)


async def handle(means: Means, message: Message) -> None:
    """Raises Unavailable when it cannot be acknowledged: it comes back, and is found done."""
    try:
        item = item_of(message.data)
    except msgspec.ValidationError:
        log.error("an item of another version of ictus")
    else:
        await _done(means, item, message.deliveries)
    await message.ack()


async def _done(means: Means, item: Item, delivery: int) -> None:
    """Until the result lies there or nobody waits for it, however long the world is away."""
    while True:
        try:
            if await _is_wanted(means.blobs, item):
                result = await _result(means, item, delivery)
                data = await asyncio.to_thread(encode, result)
                await means.blobs.put(done_key(item.build, item.portion.shard), data)
                log.info("folded" if result.part else "not folded")
            return
        except Unavailable as away:
            log.warning("unavailable", extra={"cause": str(away)[:200]})
            await asyncio.sleep(AWAY_SECONDS)


async def _is_wanted(blobs: Blobs, item: Item) -> bool:
    done = done_key(item.build, item.portion.shard)
    return await blobs.exists(open_key(item.build)) and not await blobs.exists(done)


async def _result(means: Means, item: Item, delivery: int) -> Result:
    """Raises Unavailable."""
    if delivery > DELIVERIES_MAX:
        return Result(trouble=f"{DELIVERIES_MAX} workers died of it: more parts need less memory")
    try:
        async with _telling(means.blobs, item, delivery) as progress:
            return Result(await part.fold(means.ledger, item.portion, progress))
    except Unavailable:
        raise
    except (Damaged, Refused) as error:
        return Result(trouble=str(error), is_damaged=isinstance(error, Damaged))
    except Exception as error:  # noqa: BLE001  the boundary: whoever waits must hear of a bug here
        log.error("failed", extra={"cause": type(error).__name__})
        return Result(trouble=f"a worker failed with {type(error).__name__}")


@asynccontextmanager
async def _telling(blobs: Blobs, item: Item, delivery: int) -> AsyncIterator[Progress]:
    """Signs of life while it is folded; none is written after the end."""
    key = reached_key(item.build, item.portion.shard)
    reached, ended = [0], asyncio.Event()

    async def tell(beat: int) -> None:
        with suppress(Unavailable):
            await blobs.put(key, json.encode(Reached(delivery, beat, reached[0])))

    async def keep_telling() -> None:
        for beat in count(1):
            with suppress(TimeoutError):
                async with asyncio.timeout(REACHED_SECONDS):
                    await ended.wait()
            if ended.is_set():
                return
            await tell(beat)

    def progress(done: int, of: int) -> None:
        reached[0] = done

    await tell(0)
    telling = asyncio.create_task(keep_telling())
    try:
        yield progress
    finally:
        ended.set()
        await telling
