"""From the ledger to a dataset's folder, recorded as an event."""

from os import cpu_count
from pathlib import Path
from uuid import UUID

from adapters.storage import dataset_files
from commands import datasets, objects
from commands.ports import Erased
from domain.dataset import Built
from domain.errors import Refused
from ictus.wiring import House
from projections import builder
from projections.builder import Progress
from projections.shards import SHARDS_MAX
from projections.spec import Spec, load_spec

HALF_ERASED = (
    "The key of case {case} is gone, and its erasure did not end: `ictus case erase {case} --yes`"
    " ends it."
)
EVENTS_PER_SHARD = 50_000
"""What one process folds in the time that another takes to begin."""


async def build_dataset(
    house: House,
    out: Path,
    as_of: int | None,
    spec_file: Path | None,
    shards: int | None = None,
    progress: Progress = lambda done, of: None,
) -> dataset_files.Manifest:
    """Rows, images and manifest in the new folder `out`. Raises Refused, Damaged, Unavailable."""
    spec = load_spec(spec_file) if spec_file else Spec()
    ledger = house.books.ledger
    hands = shards or shards_for((await ledger.head()).sequence)
    dataset = await builder.build(ledger, spec, as_of, shards=hands, progress=progress)

    async def derivative(case: str, sha256: str) -> bytes:
        try:
            return await objects.fetch(house.blobs, house.books.vault, UUID(case), sha256)
        except Erased:
            raise Refused(HALF_ERASED.format(case=case)) from None

    manifest = await dataset_files.write(dataset, out, derivative)
    built = Built(
        root=dataset.root,
        rows=len(dataset.encoded),
        as_of=dataset.as_of,
        head_sha256=dataset.head_sha256,
        spec_sha256=dataset.spec_sha256,
        projector=dataset.projector,
    )
    await datasets.record_build(house.books, house.operator(), built)
    return manifest


def shards_for(events: int) -> int:
    """One per core, but no more than there is work for."""
    return min(cpu_count() or 1, SHARDS_MAX, max(1, events // EVENTS_PER_SHARD))
