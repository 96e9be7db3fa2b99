"""Batches that depend on nothing but (seed, epoch, case, tile): not on workers, order or resuming."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import lightning
import numpy as np
from msgspec.structs import replace
from torch.utils.data import DataLoader, Dataset as TorchDataset

from training import dataset as datasets
from training.augment import chosen, generator, varied
from training.examples import Example, Told, collated, examples, is_watched
from workers.inference.context import UNKNOWN, Context

CASES_MIN: Final = 10
"""Of each cause, to be learnt from; fewer teach nothing."""


class CannotTrain(Exception):
    """There is too little to train with, or nothing to go on from; the message says what."""


class Varied(TorchDataset[Any]):
    """The cases as one epoch shows them."""

    def __init__(self, cases: Sequence[Example], data: "CaseData", epoch: int) -> None:
        self._cases, self._data, self._epoch = cases, data, epoch

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, at: int) -> Example:
        return self._data.varied(self._cases[at], self._epoch)


class Still(TorchDataset[Any]):
    """The cases as they are."""

    def __init__(self, cases: Sequence[Example]) -> None:
        self._cases = cases

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, at: int) -> Example:
        return self._cases[at]


class Batches:
    """Which cases go together in an epoch: each process of several takes every so manieth batch."""

    def __init__(self, order: list[int], size: int, rank: int, world: int) -> None:
        whole = [order[start : start + size] for start in range(0, len(order), size)]
        self._own = whole[rank : len(whole) // world * world or None : world] or whole[:1]

    def __len__(self) -> int:
        return len(self._own)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self._own)


class CaseData(lightning.LightningDataModule):
    """A dataset that is verified before anything in it is believed.

    Parameters
    ----------
    dataset
        A folder as `ictus dataset build` or `ictus synth --as-dataset` writes it.
    batch_cases
        Cases in a batch of one process.
    tiles_max
        Of a case in training; all are seen when it is judged.
    context_dropout
        The share of answers trained as if nobody had been asked.
    workers
        Processes that vary images; none of what they make depends on their number.
    seed
        Of order and variations.
    """

    def __init__(
        self,
        dataset: str,
        batch_cases: int = 16,
        tiles_max: int = 8,
        context_dropout: float = 0.3,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.folder = Path(dataset)
        self.batch_cases, self.tiles_max = batch_cases, tiles_max
        self.context_dropout, self.workers, self.seed = context_dropout, workers, seed
        self.told: Told = lambda done, of: None

    def load(self) -> None:
        """Reads the cases, once. Raises DatasetRefused, CannotTrain."""
        self.source = datasets.read(self.folder)
        learnt = examples(self.source, "train", self.told)
        self.learnt = [case for case in learnt if not is_watched(case)]
        self.watched = [case for case in learnt if is_watched(case)]
        self.held_out = examples(self.source, "validation", self.told)
        self._refuse_too_few()

    def _refuse_too_few(self) -> None:
        for target in (0, 1):
            count = sum(case.target == target for case in self.learnt)
            if count < CASES_MIN:
                raise CannotTrain(
                    f"{self.folder} has {count} training cases of a cause, {CASES_MIN} are needed:"
                    " gather more, or take more seeds of `ictus synth`"
                )
        if not self.watched:
            raise CannotTrain(f"{self.folder} is too small to tell when to stop")

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        epoch = trainer.current_epoch
        order = generator(self.seed, epoch, "order").permutation(len(self.learnt)).tolist()
        batches = Batches(order, self.batch_cases, trainer.global_rank, trainer.world_size)
        return DataLoader(
            Varied(self.learnt, self, epoch),
            batch_sampler=batches,
            collate_fn=collated,
            num_workers=self.workers,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """The watched cases as they are; every process sees them all."""
        return DataLoader(Still(self.watched), self.batch_cases, collate_fn=collated)

    def varied(self, case: Example, epoch: int) -> Example:
        """A case as one epoch shows it."""
        rng = generator(self.seed, epoch, case.case)
        mirrored, untold = rng.random() < 0.5, rng.random() < self.context_dropout
        at = chosen(len(case.tiles), self.tiles_max, rng)
        shown = [
            varied(case.tiles[n, 0], mirrored, generator(self.seed, epoch, case.case, str(n)))
            for n in at
        ]
        return case._replace(
            tiles=np.stack(shown)[:, None],
            sequence=case.sequence[at] * np.float32(not untold),
            context=self._forgotten(case.context, rng.random(2).tolist()),
        )

    def _forgotten(self, context: Context, draws: Sequence[float]) -> Context:
        codes = zip(Context.__struct_fields__, draws, strict=True)
        return replace(
            context, **{code: UNKNOWN for code, drawn in codes if drawn < self.context_dropout}
        )
