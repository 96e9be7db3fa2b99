"""Parts of a dataset folded by a Ray cluster, one per processor: `ictus dataset build --ray ADDRESS`.

Its machines have `ictus[ray]`, reach the same NATS server by the same settings, and find the same
seeds of NATS users. They need no objects.
"""

import asyncio
import os

from msgspec.structs import replace

from commands.ports import Unavailable
from ictus.embedded import NotInstalled
from ictus.settings import Settings
from ictus.wiring import House, open_house
from projections.builder import Dataset, must_have
from projections.part import Part, Portion, fold, whole
from projections.shards import SHARDS_MAX
from projections.spec import Spec

LOCAL = "local"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


async def build(house: House, spec: Spec, as_of: int | None, address: str) -> Dataset:
    """What `projections.builder.build` gives; `local` makes a cluster of this machine for it.

    Raises as that does, and NotInstalled without ray.
    """
    try:
        import ray
    except ImportError:
        raise NotInstalled("ray is not installed: pip install 'ictus[ray]'") from None
    head = await house.books.ledger.head()
    until = head.sequence if as_of is None else as_of
    must_have(head, until)
    try:
        await asyncio.to_thread(ray.init, address, log_to_driver=False)
    except (ConnectionError, SystemExit) as error:
        # Ray exits by itself where an address does not answer.
        raise Unavailable(f"no Ray cluster answers at {address}") from error
    try:
        of = min(SHARDS_MAX, max(1, int(ray.cluster_resources().get("CPU", 1))))
        first = Portion(
            ledger=head.ledger, head=head.sequence, until=until, shard=0, of=of, spec=spec
        )
        folded = ray.remote(max_retries=5)(_folded)
        parts = [folded.remote(house.settings, replace(first, shard=shard)) for shard in range(of)]
        return await asyncio.to_thread(whole, first, await asyncio.gather(*parts))
    finally:
        await asyncio.to_thread(ray.shutdown)


def _folded(settings: Settings, portion: Portion) -> Part:
    """On a machine of the cluster."""

    async def part() -> Part:
        async with open_house(settings, "dataset-worker") as house:
            return await fold(house.books.ledger, portion)

    return asyncio.run(part())
