"""The attention model: what must not matter does not, and what should matter does."""

import numpy as np
import pytest
import torch
from torch import Tensor

from training.augment import augment, generator
from training.module import LOGIT_MAX, WIDTHS, Batch, Head, StrokeMIL

YES, NO, UNKNOWN = torch.eye(3)


@pytest.fixture(scope="module")
def module() -> StrokeMIL:
    torch.manual_seed(0)
    made = StrokeMIL(1e-3, 1e-2, 10).eval()
    torch.nn.init.normal_(made.head.score.weight)
    made.head.af.data = torch.tensor([[1.0, -1.0], [-0.5, 0.5]])
    return made


@pytest.fixture(scope="module")
def embeddings() -> Tensor:
    return torch.randn(1, 5, 2 * WIDTHS[-1], generator=torch.Generator().manual_seed(1))


def real(count: int, places: int) -> Tensor:
    return (torch.arange(places) < count).unsqueeze(0)


@torch.no_grad()
def test_the_order_of_images_does_not_matter(module: StrokeMIL, embeddings: Tensor) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    logits, attention = module.head(embeddings, real(5, 5), UNKNOWN[None])
    moved, attention_moved = module.head(embeddings[:, order], real(5, 5), UNKNOWN[None])
    torch.testing.assert_close(moved, logits)
    torch.testing.assert_close(attention_moved, attention[:, order])


@torch.no_grad()
def test_padding_does_not_matter(module: StrokeMIL, embeddings: Tensor) -> None:
    noise = torch.full((1, 4, embeddings.shape[2]), 1e3)
    padded = torch.cat([embeddings, noise], 1)
    logits, attention = module.head(embeddings, real(5, 5), UNKNOWN[None])
    same, attention_padded = module.head(padded, real(5, 9), UNKNOWN[None])
    torch.testing.assert_close(same, logits)
    assert attention_padded[0, 5:].sum() == 0
    torch.testing.assert_close(attention_padded[:, :5], attention)


@torch.no_grad()
def test_the_same_image_twice_says_no_more_than_once(module: StrokeMIL, embeddings: Tensor) -> None:
    once = module.head(embeddings[:, :1], real(1, 1), UNKNOWN[None])[0]
    twice = module.head(embeddings[:, [0, 0]], real(2, 2), UNKNOWN[None])[0]
    torch.testing.assert_close(twice, once)


@torch.no_grad()
def test_a_case_does_not_depend_on_its_neighbours_in_a_batch(module: StrokeMIL) -> None:
    tiles = torch.rand(6, 1, 96, 96, generator=torch.Generator().manual_seed(2))
    af, target = torch.stack([YES, UNKNOWN]), torch.tensor([0, 1])
    both = module(Batch(tiles, [2, 4], af, target))
    alone = module(Batch(tiles[2:], [4], af[1:], target[1:]))
    torch.testing.assert_close(both[1:], alone)


@torch.no_grad()
def test_what_is_known_of_atrial_fibrillation_always_counts(
    module: StrokeMIL, embeddings: Tensor
) -> None:
    def said(af: Tensor, factor: float) -> Tensor:
        logits: Tensor = module.head(factor * embeddings, real(5, 5), af[None])[0]
        return logits

    assert said(UNKNOWN, 1e4).abs().max() <= LOGIT_MAX
    for factor in (1.0, 1e4):
        torch.testing.assert_close(
            said(YES, factor) - said(UNKNOWN, factor), module.head.af.data[:1]
        )
        torch.testing.assert_close(
            said(NO, factor) - said(UNKNOWN, factor), module.head.af.data[1:]
        )


def test_the_model_is_a_small_one(module: StrokeMIL) -> None:
    assert 100_000 < sum(weight.numel() for weight in module.parameters()) < 500_000


def test_a_fresh_head_knows_nothing_of_atrial_fibrillation() -> None:
    assert not Head(8).af.any()


def test_a_variation_is_told_by_run_epoch_and_case() -> None:
    tiles = np.random.default_rng(0).random((3, 1, 96, 96), np.float32)

    def varied(seed: int, epoch: int, case: str) -> bytes:
        return augment(tiles, 2, generator(seed, epoch, case)).tobytes()

    assert varied(1, 2, "a") == varied(1, 2, "a")
    assert len({varied(1, 2, "a"), varied(2, 2, "a"), varied(1, 3, "a"), varied(1, 2, "b")}) == 4


def test_a_variation_keeps_shape_range_and_the_limit_of_tiles() -> None:
    tiles = np.random.default_rng(0).random((12, 1, 96, 96), np.float32)
    made = augment(tiles, 8, generator(0, 0, "case"))
    assert made.shape == (8, 1, 96, 96)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
