"""What a case is, from the embeddings of all its tiles: gated attention (M. Ilse et al., ICML 2018)."""

from typing import Final, Literal, NamedTuple

import torch
from torch import Tensor, nn

from domain.stroke import PREDICTED

Pooling = Literal["attention", "mean"]

ATTENTION_WIDTH: Final = 64
HIDDEN_WIDTH: Final = 64
LOGIT_MAX: Final = 2.5
NOBODY: Final = -1e9
"""The score of a place where there is no tile."""


class Found(NamedTuple):
    """`logits` (b, 2) of the causes, `attention` (b, n), `patterns` (b, p) as logits, `pooled` (b, e)."""

    logits: Tensor
    attention: Tensor
    patterns: Tensor
    pooled: Tensor


class Head(nn.Module):
    """Embeddings of padded cases (b, n, e), who is real (b, n), what each is told to be (b, n, s) and
    context (b, c) to what was found.

    Attention is a mean, so the number of images says nothing by itself. What images may say is bounded,
    so that context, each known answer of which adds its own log-odds, always counts.
    """

    def __init__(
        self, width: int, sequences: int, answers: int, patterns: int, pooling: Pooling
    ) -> None:
        super().__init__()
        seen = width + sequences
        self.pooling = pooling
        self.tanh = nn.Linear(seen, ATTENTION_WIDTH)
        self.gate = nn.Linear(seen, ATTENTION_WIDTH)
        self.score = nn.Linear(ATTENTION_WIDTH, 1)
        self.trunk = nn.Sequential(nn.Linear(seen, HIDDEN_WIDTH), nn.ReLU())
        self.causes = nn.Linear(HIDDEN_WIDTH, len(PREDICTED))
        self.patterns = nn.Linear(HIDDEN_WIDTH, patterns)
        self.context = nn.Parameter(torch.zeros(answers, len(PREDICTED)))

    def forward(self, embeddings: Tensor, real: Tensor, sequence: Tensor, context: Tensor) -> Found:
        told = torch.cat([embeddings, sequence], -1)
        attention = torch.softmax(self._scores(told).masked_fill(~real, NOBODY), 1)
        pooled = (attention.unsqueeze(-1) * told).sum(1)
        hidden = self.trunk(pooled)
        seen = LOGIT_MAX * torch.tanh(self.causes(hidden) / LOGIT_MAX)
        return Found(seen + context @ self.context, attention, self.patterns(hidden), pooled)

    def _scores(self, told: Tensor) -> Tensor:
        if self.pooling == "mean":
            return torch.zeros_like(told[..., 0])
        gated = torch.tanh(self.tanh(told)) * torch.sigmoid(self.gate(told))
        scores: Tensor = self.score(gated).squeeze(-1)
        return scores


class Strangeness(nn.Module):
    """How far a case's pooled embedding (b, e) lies from those it was fitted to, in their own spread:
    Mahalanobis's distance, with the directions they hardly vary in taken as one (probabilistic
    principal components; M. Tipping, C. Bishop, 1999). 1 is the mean distance of those."""

    middle: Tensor
    directions: Tensor
    spread: Tensor
    rest: Tensor
    unit: Tensor

    def __init__(self, width: int, directions: int) -> None:
        super().__init__()
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("directions", torch.zeros(width, directions))
        self.register_buffer("spread", torch.ones(directions))
        self.register_buffer("rest", torch.ones(()))
        self.register_buffer("unit", torch.ones(()))

    def forward(self, pooled: Tensor) -> Tensor:
        away = pooled - self.middle
        along = away @ self.directions
        beside = (total(away.square()) - total(along.square())).clamp(min=0)
        squared = total(along.square() / self.spread) + beside / self.rest
        return squared.clamp(min=1e-12).sqrt() / self.unit

    @torch.no_grad()
    def fit(self, pooled: Tensor) -> None:
        """To the pooled embeddings (cases, e) of training cases."""
        exact = pooled.double()
        middle = exact.mean(0)
        _, values, vectors = torch.linalg.svd(exact - middle, full_matrices=False)
        variance = values.square() / max(1, len(exact) - 1)
        kept = self.spread.shape[0]
        left = variance[kept:].sum() / max(1, pooled.shape[1] - kept)
        floor = (variance.sum() / pooled.shape[1] * 1e-2).clamp(min=1e-8)
        self.middle.copy_(middle)
        self.directions[:, : len(vectors[:kept])] = vectors[:kept].T.float()
        self.spread[: len(variance[:kept])] = variance[:kept].clamp(min=floor).float()
        self.rest.copy_(left.clamp(min=floor))
        self.unit.fill_(1)
        self.unit.copy_(self(pooled).mean().clamp(min=1e-6))


def total(rows: Tensor) -> Tensor:
    """Sum of each row (b, e) as a product with ones: a plain sum's order depends on where a row lies
    in memory, and so its last bit on who is beside it."""
    return (rows @ torch.ones(rows.shape[1], 1)).squeeze(1)
