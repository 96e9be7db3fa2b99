"""The net and how it learns: cross-entropy on causes and, where known, patterns; AdamW, one cycle."""

from typing import Final

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchmetrics.classification import BinaryAUROC

from training.backbones import Backbone, encoder
from training.examples import ANSWERS, NOT_KNOWN, PATTERNS, SEQUENCES, Batch
from training.head import Found, Head, Pooling

CONTEXT_WEIGHTS: Final = "head.context"


class StrokeModule(lightning.LightningModule):
    """Cause of a stroke from all its tiles and what is known beside them.

    Parameters
    ----------
    backbone
        What encodes a tile: `mobile`, `resnet18` or `strided`.
    pooling
        How tiles become a case: `attention`, or `mean` of all.
    sequences
        Whether it is told what ingest recognised each head as.
    learning_rate
        The highest of the cycle.
    context_rate_factor
        Clear images leave little gradient for the few weights of the answers.
    pattern_weight
        Of the auxiliary loss: which of the lesion patterns it is, where that is known.
    """

    def __init__(
        self,
        backbone: Backbone = "mobile",
        pooling: Pooling = "attention",
        sequences: bool = True,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        context_rate_factor: float = 20.0,
        pattern_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.context_rate_factor, self.pattern_weight = context_rate_factor, pattern_weight
        self.sequences = SEQUENCES if sequences else ()
        self.encoder, width = encoder(backbone)
        self.head = Head(width, len(self.sequences), ANSWERS, len(PATTERNS), pooling)
        self.auroc = BinaryAUROC()

    def forward(self, batch: Batch) -> Found:
        """What is found in each case depends on no other."""
        counts = batch.counts.tolist()
        told = batch.sequence[:, : len(self.sequences)]
        padded = pad_sequence(
            list(torch.split(self.encoder(batch.tiles), counts)), batch_first=True
        )
        sequence = pad_sequence(list(torch.split(told, counts)), batch_first=True)
        places = torch.arange(padded.shape[1], device=padded.device)
        found: Found = self.head(
            padded, places < batch.counts.unsqueeze(1), sequence, batch.context
        )
        return found

    def training_step(self, batch: Batch, _: int) -> Tensor:
        found = self(batch)
        loss = nn.functional.cross_entropy(found.logits, batch.target)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.target))
        return loss + self.pattern_weight * pattern_loss(found.patterns, batch.pattern)

    def validation_step(self, batch: Batch, _: int) -> None:
        logits = self(batch).logits
        size = len(batch.target)
        loss = nn.functional.cross_entropy(logits, batch.target)
        self.auroc.update(logits[:, 0] - logits[:, 1], (batch.target == 0).int())
        self.log("watched_loss", loss, on_epoch=True, batch_size=size)
        self.log("watched_auroc", self.auroc, on_epoch=True, batch_size=size)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        weights = dict(self.named_parameters())
        context = weights.pop(CONTEXT_WEIGHTS)
        groups = [
            {"params": list(weights.values()), "weight_decay": self.weight_decay},
            {"params": [context], "weight_decay": 0.0},
        ]
        rates = [self.learning_rate, self.context_rate_factor * self.learning_rate]
        optimizer = torch.optim.AdamW(groups, self.learning_rate)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def pattern_loss(logits: Tensor, pattern: Tensor) -> Tensor:
    """Of the cases whose pattern is known; 0 when none is."""
    losses = nn.functional.cross_entropy(logits, pattern, ignore_index=NOT_KNOWN, reduction="sum")
    return losses / (pattern != NOT_KNOWN).sum().clamp(min=1)
