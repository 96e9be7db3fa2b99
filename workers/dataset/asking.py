"""Has a dataset folded by the workers that run somewhere, and puts its parts together."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from msgspec import json
from msgspec.structs import replace

from commands.ports import Blobs, Damaged, Missing, Unavailable
from domain.identity import Instant
from projections.builder import Dataset, Progress, must_have
from projections.part import Part, Portion, whole
from projections.spec import Spec
from workers.dataset.items import (
    DONE,
    FOLDER,
    REACHED,
    Item,
    Means,
    Reached,
    decode,
    folder,
    open_key,
)

POLL_SECONDS = 0.5
SILENCE_SECONDS_MAX = 60.0
LEFT_BEHIND = timedelta(days=1)
NAMED_BY_TIME = "%Y%m%dT%H%M%S"


async def build(
    means: Means,
    spec: Spec,
    as_of: int | None = None,
    *,
    parts: int,
    now: Instant,
    progress: Progress = lambda done, of: None,
) -> Dataset:
    """What `projections.builder.build` gives, from `parts` items of work. Nothing of it stays behind.

    Raises Refused when the ledger ends before `as_of`, Damaged, Unavailable when no worker was heard
    of for SILENCE_SECONDS_MAX.
    """
    head = await means.ledger.head()
    until = head.sequence if as_of is None else as_of
    must_have(head, until)
    first = Portion(
        ledger=head.ledger, head=head.sequence, until=until, shard=0, of=parts, spec=spec
    )
    name = f"{now:{NAMED_BY_TIME}}-{uuid4().hex}"
    await sweep(means.blobs, now)
    try:
        await _ask(means, name, first)
        folded = await _answers(means.blobs, name, first, progress)
        return await asyncio.to_thread(whole, first, folded)
    finally:
        await _clean(means.blobs, folder(name))


async def sweep(blobs: Blobs, now: Instant) -> None:
    """Removes what builds left behind that were killed a day ago or before."""
    oldest = folder(f"{now - LEFT_BEHIND:{NAMED_BY_TIME}}")
    for key in [key async for key in blobs.keys(f"{FOLDER}/") if key < oldest]:
        await blobs.delete(key)


async def _ask(means: Means, name: str, first: Portion) -> None:
    await means.blobs.put(open_key(name), b"")
    for shard in range(first.of):
        item = Item(name, replace(first, shard=shard))
        await means.queue.publish(item.subject, json.encode(item), message_id=item.id)


async def _answers(blobs: Blobs, name: str, first: Portion, progress: Progress) -> Sequence[Part]:
    parts: dict[str, Part] = {}
    silence = _Silence()
    while len(parts) < first.of:
        await asyncio.sleep(POLL_SECONDS)
        keys = [key async for key in blobs.keys(folder(name))]
        for key in keys:
            if key.endswith(DONE) and key not in parts:
                parts[key] = await _part(blobs, key)
        signs = [await _sign(blobs, key) for key in keys if key.endswith(REACHED)]
        progress(sum(map(_sequence, signs)), first.head * first.of)
        silence.broken_by((keys, signs), f"{len(parts)} of {first.of} parts are folded")
    return list(parts.values())


class _Silence:
    """How long nothing has changed."""

    def __init__(self) -> None:
        self._heard: object = None
        self._polls = 0

    def broken_by(self, heard: object, state: str) -> None:
        """Raises Unavailable after SILENCE_SECONDS_MAX of the same."""
        self._polls = self._polls + 1 if heard == self._heard else 0
        self._heard = heard
        if self._polls * POLL_SECONDS >= SILENCE_SECONDS_MAX:
            raise Unavailable(
                f"{state}, and no worker was heard of for {SILENCE_SECONDS_MAX:g} s: is"
                " `ictus run dataset-worker` running, with this NATS server and these objects?"
                " Without --workers this machine folds alone."
            )


async def _part(blobs: Blobs, key: str) -> Part:
    """Raises Damaged or Unavailable where there is none."""
    result = await asyncio.to_thread(decode, await blobs.get(key))
    if result.part is None:
        kind = Damaged if result.is_damaged else Unavailable
        raise kind(f"a part was not folded: {result.trouble}")
    return result.part


async def _sign(blobs: Blobs, key: str) -> bytes:
    try:
        return await blobs.get(key)
    except Missing:
        return b""


def _sequence(sign: bytes) -> int:
    return json.decode(sign, type=Reached).sequence if sign else 0


async def _clean(blobs: Blobs, prefix: str) -> None:
    """From now on nobody waits, so first of all workers must not find it open."""
    await blobs.delete(f"{prefix}open")
    for key in [key async for key in blobs.keys(prefix)]:
        await blobs.delete(key)
