"""Gated-attention multiple-instance learning over a case's tiles (Ilse et al., ICML 2018)."""

from typing import NamedTuple

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from domain.stroke import PREDICTED

WIDTHS = (16, 32, 64, 96, 128)
ATTENTION_WIDTH = 64
HIDDEN_WIDTH = 64
LOGIT_MAX = 2.5
AF_LEARNING_RATE_FACTOR = 20
"""Clear images leave little gradient for the four weights of the answer about AF."""


class Batch(NamedTuple):
    """Cases laid end to end: tiles (n, 1, side, side) float, tiles per case, af (b, 3) one-hot,
    over AF_ANSWERS, target (b,) as index into PREDICTED."""

    tiles: Tensor
    counts: list[int]
    af: Tensor
    target: Tensor


class Encoder(nn.Sequential):
    """Tiles (n, 1, side, side) to embeddings (n, 2 * last width): strided convolutions, two pools."""

    def __init__(self) -> None:
        stages: list[nn.Module] = []
        for inputs, outputs in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True):
            stages += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(8, outputs),
                nn.ReLU(),
            ]
        super().__init__(*stages, MeanAndMax())


class MeanAndMax(nn.Module):
    """Mean and maximum over the plane, side by side: a small lesion survives in the maximum."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


class Head(nn.Module):
    """Embeddings of padded cases (b, n, e) and who is real (b, n) to logits (b, 2), attention (b, n).

    Attention is a mean, so the number of images says nothing by itself. What images may say is
    bounded, so that what is known of atrial fibrillation, which adds its own log-odds (none when
    unknown), always counts.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.tanh = nn.Linear(width, ATTENTION_WIDTH)
        self.gate = nn.Linear(width, ATTENTION_WIDTH)
        self.score = nn.Linear(ATTENTION_WIDTH, 1)
        self.images = nn.Sequential(
            nn.Linear(width, HIDDEN_WIDTH), nn.ReLU(), nn.Linear(HIDDEN_WIDTH, len(PREDICTED))
        )
        self.af = nn.Parameter(torch.zeros(2, len(PREDICTED)))

    def forward(self, embeddings: Tensor, real: Tensor, af: Tensor) -> tuple[Tensor, Tensor]:
        gated = torch.tanh(self.tanh(embeddings)) * torch.sigmoid(self.gate(embeddings))
        scores = self.score(gated).squeeze(-1).masked_fill(~real, -1e9)
        attention = torch.softmax(scores, 1)
        pooled = (attention.unsqueeze(-1) * embeddings).sum(1)
        seen = LOGIT_MAX * torch.tanh(self.images(pooled) / LOGIT_MAX)
        return seen + af[:, :2] @ self.af, attention


class StrokeMIL(lightning.LightningModule):
    """Cause of a stroke from all its tiles; trained with cross-entropy, AdamW and a cosine schedule."""

    def __init__(self, learning_rate: float, weight_decay: float, steps: int) -> None:
        super().__init__()
        self.learning_rate, self.weight_decay, self.steps = learning_rate, weight_decay, steps
        self.encoder = Encoder()
        self.head = Head(2 * WIDTHS[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits (b, 2); a case's logits depend on no other case."""
        parts = self.encoder(batch.tiles).split(batch.counts)
        padded = nn.utils.rnn.pad_sequence(parts, batch_first=True)
        places = torch.arange(padded.shape[1])
        real = places < torch.tensor(batch.counts).unsqueeze(1)
        logits: Tensor = self.head(padded, real, batch.af)[0]
        return logits

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = nn.functional.cross_entropy(self(batch), batch.target)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.counts))
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        images = [value for name, value in self.named_parameters() if name != "head.af"]
        groups = [
            {"params": images, "weight_decay": self.weight_decay},
            {"params": [self.head.af], "weight_decay": 0.0},
        ]
        rates = [self.learning_rate, AF_LEARNING_RATE_FACTOR * self.learning_rate]
        optimizer = torch.optim.AdamW(groups, self.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=self.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
