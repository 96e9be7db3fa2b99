"""From the ledger to a dataset's folder, signed and recorded as an event."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from os import cpu_count
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from adapters.datasets.layout import Manifest, Progress, manifest_of
from adapters.datasets.writing import PLAIN, Form, refuse_other, silent, write
from adapters.storage.signing import load_signing_key
from commands import datasets, objects
from commands.ports import Damaged, Erased, Missing
from domain.dataset import Built
from domain.errors import Refused
from ictus import on_ray
from ictus.settings import Settings
from ictus.wiring import House
from ictus.witness import public_key
from projections import builder
from projections.builder import Dataset
from projections.shards import SHARDS_MAX
from projections.spec import Spec, load_spec
from workers.dataset import asking
from workers.dataset.items import Means
from workers.witness.notes import PublicKey
from workers.witness.prefix import Prefix, covering, take

WITNESS_SECONDS_MAX = 30.0
WITNESS_POLL_SECONDS = 0.5
HALF_ERASED = (
    "The key of case {case} is gone: build again. If it says so again, the case's erasure broke off,"
    " and `ictus case erase {case} --yes` ends it."
)
EVENTS_PER_SHARD = 50_000
"""What one process folds in the time that another takes to begin."""


class Hands(NamedTuple):
    """Who folds: `processes` of this machine (by default as many as it pays to have), or so many
    `workers`, which are `ictus run dataset-worker` wherever they run, or the cluster at `ray`."""

    processes: int | None = None
    workers: int | None = None
    ray: str | None = None


HERE = Hands()
Telling = Callable[[str], AbstractContextManager[Progress]]
"""Shows how far a work of that name has come."""


def key_file(settings: Settings) -> Path:
    """Of whoever builds datasets here; not the witness's, which lies on the witness's machine."""
    return settings.folder / "dataset" / "signing.key"


def spec_of(file: Path | None) -> Spec:
    """Raises BadProfile for one that names a profile which never was, msgspec.ValidationError."""
    spec = load_spec(file) if file else Spec()
    if spec.profile:
        from ictus.reingest import must_be_a_profile

        must_be_a_profile(spec.profile)
    return spec


async def build_dataset(
    house: House,
    out: Path,
    as_of: int | None,
    spec_file: Path | None,
    form: Form = PLAIN,
    witness: str | None = None,
    hands: Hands = HERE,
    progress: Telling = lambda work: nullcontext(silent),
) -> Manifest:
    """The new folder `out`, signed, whose rows' events are proved by the witness's checkpoint if a
    witness sees the last one within half a minute. Raises Refused, Damaged, Unavailable."""
    spec = spec_of(spec_file)
    with progress("reading the ledger") as told:
        dataset = await _folded(house, spec, as_of, hands, told)

    async def derivative(case: str, sha256: str) -> bytes:
        try:
            return await objects.fetch(house.blobs, house.books.vault, UUID(case), sha256)
        except Erased:
            raise Refused(HALF_ERASED.format(case=case)) from None

    try:
        await asyncio.to_thread(refuse_other, out, manifest_of(dataset))
        key = await asyncio.to_thread(load_signing_key, key_file(house.settings))
        log = await _witnessed(house, dataset, witness)
        with progress("writing rows") as told:
            manifest = await write(dataset, out, derivative, key, log, form, told)
    except FileExistsError as there:
        raise Refused(str(there)) from None
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


async def _folded(
    house: House, spec: Spec, as_of: int | None, hands: Hands, progress: Progress
) -> Dataset:
    ledger = house.books.ledger
    if hands.workers:
        means = Means(ledger, house.blobs, house.queue)
        now = house.books.clock.now()
        return await asking.build(
            means, spec, as_of, parts=hands.workers, now=now, progress=progress
        )
    if hands.ray:
        return await on_ray.build(house, spec, as_of, hands.ray)
    shards = hands.processes or shards_for((await ledger.head()).sequence)
    return await builder.build(ledger, spec, as_of, shards=shards, progress=progress)


def shards_for(events: int) -> int:
    """One per core, but no more than there is work for."""
    return min(cpu_count() or 1, SHARDS_MAX, max(1, events // EVENTS_PER_SHARD))


async def _witnessed(house: House, dataset: Dataset, witness: str | None) -> Prefix | None:
    """The log up to the dataset's last event, or None where there is no witness, no key of it, or
    it does not come so far. Raises Damaged when it saw another ledger than was built from."""
    try:
        key = public_key(house.settings, witness)
        await _caught_up(house, key, dataset)
        log = await take(house.blobs, key, dataset.ledger, dataset.as_of)
    except Missing:
        return None
    if dataset.as_of and log.entries[-32:].hex() != dataset.head_sha256:
        raise Damaged(f"event {dataset.as_of} is not the one that was witnessed")
    return log


async def _caught_up(house: House, key: PublicKey, dataset: Dataset) -> None:
    for _ in range(round(WITNESS_SECONDS_MAX / WITNESS_POLL_SECONDS)):
        _, checkpoint = await covering(house.blobs, key, dataset.ledger)
        if checkpoint.size >= dataset.as_of:
            return
        await asyncio.sleep(WITNESS_POLL_SECONDS)
