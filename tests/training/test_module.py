"""The attention model: what must not matter does not, and what should matter does."""

import numpy as np
import pytest
import torch
from torch import Tensor

from training.augment import chosen, generator, varied
from training.backbones import BACKBONES, Backbone, encoder
from training.data import Batches
from training.examples import ANSWERS, PATTERNS, SEQUENCES, Batch
from training.head import LOGIT_MAX, Found, Head, Strangeness
from training.module import StrokeModule, pattern_loss

WIDTH = 256
NOTHING = torch.zeros(1, ANSWERS)


@pytest.fixture(scope="module")
def module() -> StrokeModule:
    torch.manual_seed(0)
    made = StrokeModule(backbone="strided").eval()
    torch.nn.init.normal_(made.head.score.weight)
    torch.nn.init.normal_(made.head.context)
    return made


@pytest.fixture(scope="module")
def embeddings() -> Tensor:
    return torch.randn(1, 5, WIDTH, generator=torch.Generator().manual_seed(1))


def real(count: int, places: int) -> Tensor:
    return (torch.arange(places) < count).unsqueeze(0)


def found(head: Head, embeddings: Tensor, count: int, context: Tensor = NOTHING) -> Found:
    """With nothing said of sequences."""
    sequence = torch.zeros(1, embeddings.shape[1], len(SEQUENCES))
    told: Found = head(embeddings, real(count, embeddings.shape[1]), sequence, context)
    return told


def batch(tiles: Tensor, counts: list[int]) -> Batch:
    generated = torch.Generator().manual_seed(3)
    return Batch(
        tiles=tiles,
        counts=torch.tensor(counts),
        sequence=torch.eye(len(SEQUENCES))[torch.arange(len(tiles)) % len(SEQUENCES)],
        context=torch.rand(len(counts), ANSWERS, generator=generated),
        target=torch.zeros(len(counts), dtype=torch.int64),
        pattern=torch.zeros(len(counts), dtype=torch.int64),
    )


@torch.no_grad()
def test_the_order_of_images_does_not_matter(module: StrokeModule, embeddings: Tensor) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    one, moved = found(module.head, embeddings, 5), found(module.head, embeddings[:, order], 5)
    torch.testing.assert_close(moved.logits, one.logits)
    torch.testing.assert_close(moved.attention, one.attention[:, order])


@torch.no_grad()
def test_padding_does_not_matter(module: StrokeModule, embeddings: Tensor) -> None:
    padded = torch.cat([embeddings, torch.full((1, 4, WIDTH), 1e3)], 1)
    one, same = found(module.head, embeddings, 5), found(module.head, padded, 5)
    torch.testing.assert_close(same.logits, one.logits)
    assert same.attention[0, 5:].sum() == 0


@torch.no_grad()
def test_the_same_image_twice_says_no_more_than_once(
    module: StrokeModule, embeddings: Tensor
) -> None:
    once = found(module.head, embeddings[:, :1], 1).logits
    torch.testing.assert_close(found(module.head, embeddings[:, [0, 0]], 2).logits, once)


@torch.no_grad()
def test_a_case_does_not_depend_on_its_neighbours_in_a_batch(module: StrokeModule) -> None:
    tiles = torch.rand(6, 1, 96, 96, generator=torch.Generator().manual_seed(2))
    both = batch(tiles, [2, 4])
    alone = both._replace(
        tiles=tiles[2:],
        counts=both.counts[1:],
        sequence=both.sequence[2:],
        context=both.context[1:],
    )
    torch.testing.assert_close(module(both).logits[1:], module(alone).logits)


@torch.no_grad()
def test_what_is_known_beside_images_always_counts(
    module: StrokeModule, embeddings: Tensor
) -> None:
    yes = torch.eye(ANSWERS)[:1]
    for factor in (1.0, 1e4):
        silent = found(module.head, factor * embeddings, 5).logits
        told = found(module.head, factor * embeddings, 5, yes).logits
        assert silent.abs().max() <= LOGIT_MAX
        torch.testing.assert_close(told - silent, module.head.context.data[:1])


@torch.no_grad()
def test_a_mean_looks_at_all_tiles_alike(embeddings: Tensor) -> None:
    head = Head(WIDTH, len(SEQUENCES), ANSWERS, len(PATTERNS), "mean")
    assert found(head, embeddings, 4).attention.tolist() == [[0.25] * 4 + [0]]


@pytest.mark.parametrize("backbone", BACKBONES)
@torch.no_grad()
def test_every_encoder_makes_what_it_says_of_each_tile_alone(backbone: Backbone) -> None:
    encode, width = encoder(backbone)
    tiles = torch.rand(3, 1, 96, 96)
    made = encode.eval()(tiles)
    assert made.shape == (3, width)
    torch.testing.assert_close(encode(tiles[1:2]), made[1:2], atol=1e-4, rtol=1e-4)


def test_the_default_encoder_is_a_small_one() -> None:
    assert sum(weights.numel() for weights in StrokeModule().parameters()) < 1_000_000


def test_patterns_that_nobody_knows_cost_nothing() -> None:
    logits = torch.randn(3, len(PATTERNS))
    assert pattern_loss(logits, torch.tensor([-1, -1, -1])) == 0
    known = torch.nn.functional.cross_entropy(logits[:1], torch.tensor([4]))
    torch.testing.assert_close(pattern_loss(logits, torch.tensor([4, -1, -1])), known)


def test_what_is_unlike_the_training_cases_is_strange() -> None:
    chance = torch.Generator().manual_seed(5)
    spread = torch.tensor([4.0, 2.0, 1.0] + [0.1] * 9)
    near = torch.randn(400, 12, generator=chance) * spread
    strange = Strangeness(12, 3)
    strange.fit(near)
    assert strange(near).mean() == pytest.approx(1, abs=0.01)
    along, beside = torch.zeros(1, 12), torch.zeros(1, 12)
    along[0, 0], beside[0, 11] = 8.0, 8.0
    assert strange(along) < 1.2
    assert strange(beside) > 5


def test_a_variation_is_told_by_run_epoch_case_and_tile() -> None:
    tile = np.random.default_rng(0).random((96, 96), np.float32)

    def made(seed: int, epoch: int, *names: str) -> bytes:
        return varied(tile, False, generator(seed, epoch, *names)).tobytes()

    assert made(1, 2, "a", "0") == made(1, 2, "a", "0")
    others = [
        made(2, 2, "a", "0"),
        made(1, 3, "a", "0"),
        made(1, 2, "b", "0"),
        made(1, 2, "a", "1"),
    ]
    assert len({made(1, 2, "a", "0"), *others}) == 5


def test_a_variation_keeps_shape_and_range_and_tiles_their_order() -> None:
    tile = np.random.default_rng(0).random((96, 96), np.float32)
    made = varied(tile, True, generator(0, 0, "case"))
    assert (made.shape, made.dtype) == ((96, 96), np.float32)
    assert 0 <= made.min() <= made.max() <= 1
    at = chosen(12, 8, generator(0, 0, "case"))
    assert at == sorted(set(at))
    assert len(at) == 8


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epochs_batches_evenly(world: int) -> None:
    order = list(range(70))
    shares = [list(Batches(order, 8, rank, world)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    seen = [case for share in shares for batch_ in share for case in batch_]
    assert len(seen) == len(set(seen)) > 70 - 8 * world
