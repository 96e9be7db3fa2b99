"""The models that a process has loaded, warm: the next one is ready before the last one goes."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from commands.ports import Blobs
from workers.inference.batcher import NOW, Batcher
from workers.inference.bundles import unpacked
from workers.inference.classifier import Classifier, Prediction, Prepared
from workers.inference.context import Context
from workers.inference.runtime import CPU, chosen
from workers.pixels import SIDE

LOADED_MAX = 4
"""Champion, challenger and shadow, and the one before, to come back at once."""

TILES_MAX, LINGER_S = 8, 0.0
"""Of a batch on processors, which are no faster for a greater one."""

GPU_TILES_MAX, GPU_LINGER_S = 64, 0.005

log = logging.getLogger("ictus.inference")


class Loaded:
    """A model at work. What many ask for at about the same time goes through it together."""

    def __init__(self, classifier: Classifier, batcher: Batcher) -> None:
        self.classifier, self._batcher = classifier, batcher

    async def predict(self, case: Prepared, urgency: int = NOW) -> Prediction:
        weight = len(case.tiles)
        return await self._batcher.run(self.predicted, case, weight, urgency=urgency)

    def predicted(self, cases: Sequence[Prepared]) -> Sequence[Prediction]:
        """CPU-bound."""
        together = self.classifier.encode(np.concatenate([case.tiles for case in cases]))
        ends = np.cumsum([len(case.tiles) for case in cases])[:-1]
        return self.classifier.decide(list(zip(cases, np.split(together, ends), strict=True)))

    def warm(self) -> None:
        """The first prediction pays for what the library puts off."""
        uses = self.classifier.manifest
        tiles = np.zeros((1, 1, SIDE, SIDE), np.float32)
        told = np.zeros((1, len(uses.sequences)), np.float32)
        self.predicted([Prepared(tiles, (0,), 1, told, Context().vector(uses.context))])


class Shelf:
    """Loads a bundle when it is first wanted, while those that are loaded go on; `cache` is where
    bundles are unpacked."""

    def __init__(self, blobs: Blobs, cache: Path) -> None:
        self._blobs, self._cache = blobs, cache
        self._providers = chosen()
        gpu = self._providers[0] != CPU
        self._batcher = Batcher(*((GPU_TILES_MAX, GPU_LINGER_S) if gpu else (TILES_MAX, LINGER_S)))
        self._loading: OrderedDict[str, asyncio.Task[Loaded]] = OrderedDict()

    async def loaded(self, release: str) -> Loaded:
        """The model of that manifest's SHA-256. Raises BundleRefused, Missing, Unavailable."""
        if release not in self._loading:
            self._loading[release] = asyncio.create_task(self._load(release))
        self._loading.move_to_end(release)
        try:
            found = await asyncio.shield(self._loading[release])
        except Exception:
            self._loading.pop(release, None)
            raise
        while len(self._loading) > LOADED_MAX:
            self._loading.popitem(last=False)
        return found

    async def _load(self, release: str) -> Loaded:
        folder = await unpacked(self._blobs, release, self._cache)
        classifier = await asyncio.to_thread(Classifier.load, folder, self._providers)
        model = Loaded(classifier, self._batcher)
        await asyncio.to_thread(model.warm)
        log.info("model loaded", extra={"model": release})
        return model

    def close(self) -> None:
        self._batcher.close()
