"""From the ledger to a dataset's folder, recorded as an event."""

from pathlib import Path
from uuid import UUID

from adapters.storage import dataset_files
from commands import datasets, objects
from domain.dataset import Built
from ictus.wiring import House
from projections import builder
from projections.spec import Spec, load_spec


async def build_dataset(
    house: House, out: Path, as_of: int | None, spec_file: Path | None
) -> dataset_files.Manifest:
    """Rows, images and manifest in the new folder `out`. Raises Refused, Damaged, Unavailable."""
    spec = load_spec(spec_file) if spec_file else Spec()
    dataset = await builder.build(house.books.ledger, spec, as_of)

    async def derivative(case: str, sha256: str) -> bytes:
        return await objects.fetch(house.blobs, house.books.vault, UUID(case), sha256)

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
