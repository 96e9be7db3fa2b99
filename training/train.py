"""Trains the attention model on a verified dataset: one thread, so that a run can be repeated.

The run is told in full by (dataset root, Config, seed, torch build, processor family).
"""

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from msgspec import Struct
from numpy.typing import NDArray
from torch import Tensor

from domain.stroke import ANSWERS, PREDICTED
from projections.rows import Row, Split
from training.augment import augment, generator
from training.dataset import Dataset
from training.module import Batch, StrokeMIL
from training.testing.cases import is_usable
from workers.pixels import tiles

log = logging.getLogger(__name__)


def af_input(af: str) -> NDArray[np.float32]:
    """One-hot over ANSWERS, float32 (3,)."""
    return np.array([af == answer for answer in ANSWERS], np.float32)


class Config(Struct, frozen=True, kw_only=True):
    """What a person may choose; `af_dropout` is the share of cases trained as if AF was not asked."""

    epochs: int = 12
    batch_cases: int = 16
    tiles_max: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    af_dropout: float = 0.3


class Example(NamedTuple):
    """A labelled case in memory: tiles (n, 1, side, side), AF answer, index into PREDICTED."""

    case: str
    tiles: NDArray[np.float32]
    af: str
    target: int


def examples(dataset: Dataset, split: Split) -> list[Example]:
    """Cases of a split whose cause the model predicts, confirmed by an instrument, heads visible."""
    rows = (row for row in dataset.rows if row.split == split and is_usable(row))
    loaded = (_example(dataset, row) for row in rows)
    return [example for example in loaded if len(example.tiles)]


def train(cases: list[Example], config: Config, seed: int) -> StrokeMIL:
    """The trained module, in evaluation mode; the same arguments give the same weights."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(seed, verbose=False)
    steps = config.epochs * -(-len(cases) // config.batch_cases)
    module = StrokeMIL(config.learning_rate, config.weight_decay, steps)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=config.epochs,
        deterministic=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Progress()],
        reload_dataloaders_every_n_epochs=1,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        trainer.fit(module, datamodule=Cases(cases, config, seed))
    return module.eval()


class Cases(lightning.LightningDataModule):
    """Shuffled, augmented batches that depend on nothing but (seed, epoch, cases)."""

    def __init__(self, cases: list[Example], config: Config, seed: int) -> None:
        super().__init__()
        self._cases, self._config, self._seed = cases, config, seed

    def train_dataloader(self) -> "Epoch":
        assert self.trainer is not None
        return Epoch(self._cases, self._config, self._seed, self.trainer.current_epoch)


@dataclass(frozen=True)
class Epoch:
    """One pass over the cases, in an order drawn from (seed, epoch)."""

    cases: list[Example]
    config: Config
    seed: int
    epoch: int

    def __len__(self) -> int:
        return -(-len(self.cases) // self.config.batch_cases)

    def __iter__(self) -> Iterator[Batch]:
        order = generator(self.seed, self.epoch, "order").permutation(len(self.cases))
        size = self.config.batch_cases
        for start in range(0, len(order), size):
            yield collate([self._varied(self.cases[at]) for at in order[start : start + size]])

    def _varied(self, example: Example) -> Example:
        rng = generator(self.seed, self.epoch, example.case)
        forgotten = rng.random() < self.config.af_dropout
        return example._replace(
            tiles=augment(example.tiles, self.config.tiles_max, rng),
            af="unknown" if forgotten else example.af,
        )


class Progress(Callback):
    """One line per epoch in the log."""

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        loss = float(trainer.callback_metrics.get("loss", torch.nan))
        log.info("epoch %d/%s, loss %.3f", trainer.current_epoch + 1, trainer.max_epochs, loss)


def collate(cases: list[Example]) -> Batch:
    return Batch(
        tiles=torch.from_numpy(np.concatenate([case.tiles for case in cases])),
        counts=[len(case.tiles) for case in cases],
        af=torch.from_numpy(np.stack([af_input(case.af) for case in cases])),
        target=torch.tensor([case.target for case in cases]),
    )


def logits(module: StrokeMIL, cases: list[Example]) -> Tensor:
    """Uncalibrated logits (cases, 2), every tile seen, none varied."""
    with torch.inference_mode():
        return torch.cat([module(collate([case])) for case in cases])


def weights_sha256(module: torch.nn.Module) -> str:
    """Hex SHA-256 over every weight, by name: what two equal runs have in common."""
    digest = sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def _example(dataset: Dataset, row: Row) -> Example:
    assert row.label is not None
    return Example(
        case=row.case,
        tiles=np.concatenate([tiles(dataset.derivative(image.sha256)) for image in row.images]),
        af=row.context.get("af", "unknown"),
        target=[str(cause) for cause in PREDICTED].index(row.label.cause),
    )
