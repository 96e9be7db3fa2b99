"""A model is asked only about images that the modality table lets it be asked about."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest

from adapters.storage.memory import MemoryBlobs, MemoryLedger, MemoryVault
from commands import models, objects
from commands.transact import Books, from_outside
from domain.case import PredictionDeclined, PredictionProduced
from domain.identity import part
from domain.stroke import Modality
from ictus.models import register_bundle
from ictus.settings import Settings
from tests.bundle1 import BUNDLE_1
from tests.givens import Given
from tests.workers.reacting import Now
from training.synth import case as synthetic
from workers.inference.images import Images
from workers.inference.schedule import DUE_ROOT
from workers.inference.shelf import Shelf
from workers.inference.worker import Inference
from workers.ingest.outcome import Ingested
from workers.ingest.pipeline import process
from workers.reactor import Done


class World:
    """A ledger that the demo's model serves."""

    def __init__(self, cache: Path) -> None:
        self.books = Books(MemoryLedger(), MemoryVault(), Now())
        self.blobs = MemoryBlobs()
        self.given = Given(self.books.ledger)
        self.settings = Settings()
        self.inference = Inference(
            self.books, Shelf(self.blobs, cache), Images(self.blobs, self.books.vault)
        )

    def operator(self) -> object:
        return from_outside(self.books, uuid4(), "system", "test")

    async def serve(self) -> None:
        model, _ = await register_bundle(self, BUNDLE_1)
        await models.promote(self.books, self.operator(), model, "demo")

    async def a_case(self, *sequences: Modality) -> UUID:
        """A case of one image for each sequence, by its own derivative."""
        case = await self.given.case(await self.given.person())
        for number, sequence in enumerate(sequences):
            if number:
                await self.given.image(case)
            await self.ingested(case, number, sequence)
        return case

    async def ingested(self, case: UUID, number: int, sequence: Modality) -> None:
        kept = process(synthetic(300 + number).images[0].data)
        assert isinstance(kept, Ingested)
        digest = await objects.store(self.blobs, self.books.vault, case, kept.derivative)
        await self.given.ingested(case, derivative=digest, sequences=(sequence,))

    async def predicted(self, case: UUID) -> PredictionProduced | PredictionDeclined:
        due = SimpleNamespace(subject=f"{DUE_ROOT}.{part(case)}.case.{case}")
        assert isinstance(await self.inference.react(due), Done)
        prediction = (await self.given.state(case)).prediction
        assert prediction is not None
        return prediction


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    await world.serve()
    return world


async def test_what_the_table_gives_no_task_is_not_looked_at(world: World) -> None:
    alone = await world.predicted(await world.a_case("mri-dwi"))
    beside = await world.predicted(await world.a_case("mri-dwi", "ct"))
    assert isinstance(alone, PredictionProduced)
    assert isinstance(beside, PredictionProduced)
    assert beside.ranked == alone.ranked
    assert len(beside.inputs) == 2
    assert sorted(beside.attention) == [0, *alone.attention]


async def test_nothing_is_predicted_from_a_modality_without_a_task(world: World) -> None:
    declined = await world.predicted(await world.a_case("ct", "ecg"))
    assert isinstance(declined, PredictionDeclined)
    assert declined.reason == "out-of-distribution"
