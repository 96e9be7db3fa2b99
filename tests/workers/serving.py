"""A ledger with cases and models, and the worker that predicts, over the real NATS."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

from msgspec import json
from msgspec.structs import replace
from nats.aio.client import Client

from adapters.storage.jetstream import JetStreamLedger
from adapters.storage.memory import MemoryBlobs, MemoryVault
from adapters.storage.queue import BucketBoard, JetStreamQueue
from adapters.storage.streams import DEAD_LETTERS, LEDGER, SCHEDULE
from commands import models, objects
from commands.transact import Books, from_outside
from domain.audience import ALL, Audience
from domain.case import Case
from domain.events import MODEL, Request
from domain.identity import part
from domain.model import ModelRole
from ictus.models import register_bundle
from ictus.settings import Settings
from tests.bundle1 import BUNDLE_1
from tests.givens import Given
from tests.workers.reacting import Now
from training.synth import case as synthetic
from training.testing.run import read_report, write_report
from workers.inference import worker
from workers.inference.images import Images
from workers.inference.schedule import DUE_ROOT
from workers.inference.shelf import Shelf
from workers.ingest.outcome import Ingested
from workers.ingest.pipeline import process
from workers.letters import Post
from workers.loop import run
from workers.reactor import Reaction


class House:
    """What `register_bundle` wants of a house, and more."""

    def __init__(self, client: Client, folder: Path) -> None:
        self.books = Books(JetStreamLedger(client), MemoryVault(), Now())
        self.blobs = MemoryBlobs()
        self.settings = Settings(data=str(folder))
        self.given = Given(self.books.ledger)
        self.folder = folder
        self.shelf = Shelf(self.blobs, folder / "models")
        self.queue = JetStreamQueue(client)
        self._board = BucketBoard(client)
        self.kept: bytes | None = None

    def operator(self) -> Request:
        return from_outside(self.books, uuid4(), "system", "test")

    # Models

    async def release(self, version: str, *, synthetic: bool = True) -> UUID:
        """The shipped bundle under another version, with its report."""
        folder = self.folder / f"bundle-{version}"
        await asyncio.to_thread(released, folder, version, synthetic)
        model, _ = await register_bundle(self, folder)
        return model

    async def promote(self, model: UUID, role: ModelRole, audience: Audience = ALL) -> None:
        await models.promote(self.books, self.operator(), model, role, audience)

    async def damage(self, model: UUID) -> None:
        """Its files are gone from the objects."""
        known = (await models.Register(self.books.ledger, MODEL).refresh())[model]
        await self.blobs.delete(
            models.bundle_key(known.registered.manifest_sha256, "manifest.json")
        )

    # Cases

    async def due_case(self, site: str = "demo-1") -> UUID:
        """With an image that was ingested; inference is due."""
        case = await self.given.case(await self.given.person(), site)
        if self.kept is None:
            outcome = await asyncio.to_thread(process, synthetic(300).images[0].data)
            assert isinstance(outcome, Ingested)
            self.kept = outcome.derivative
        digest = await objects.store(self.blobs, self.books.vault, case, self.kept)
        await self.given.ingested(case, derivative=digest, sequences=("mri-dwi",))
        await self.due(case)
        return case

    async def due(self, case: UUID) -> None:
        subject = f"{DUE_ROOT}.{part(case)}.case.{case}"
        await self.queue.publish(subject, b"due", message_id=str(uuid4()))

    async def state(self, case: UUID) -> Case:
        return await self.given.state(case)

    # The worker

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """As the role `inference` runs it."""
        means = worker.Inference(self.books, self.shelf, Images(self.blobs, self.books.vault))
        post = Post(self.books, self.queue, self._board, LEDGER, DEAD_LETTERS, "test")
        names = (worker.ROLE, SCHEDULE, worker.SUBJECTS)
        reaction = Reaction(*names, means.react, worker.case_key, means.give_up)
        loop = asyncio.create_task(run(reaction, post))
        try:
            yield
        finally:
            loop.cancel()
            await asyncio.wait([loop])
            self.shelf.close()


def released(folder: Path, version: str, synthetic: bool) -> None:
    """Writes the shipped bundle as another version, with its report."""
    shutil.copytree(BUNDLE_1, folder)
    manifest = json.decode((folder / "manifest.json").read_bytes())
    data = json.encode(manifest | {"version": version, "synthetic": synthetic})
    (folder / "manifest.json").write_bytes(data)
    report = read_report(BUNDLE_1)
    assert report
    write_report(replace(report, manifest_sha256=sha256(data).hexdigest()), folder)
