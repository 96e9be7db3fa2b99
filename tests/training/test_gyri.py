"""The second anatomy that the gate learns: whole heads, none like another, fit for every contrast."""

import numpy as np
import pytest
from numpy.random import default_rng

from training.contrasts import CONTRASTS, pictured
from training.gate.gyri import slice_of_tissues
from training.phantom import SLICE_PIXELS, Plane, Tissues

SEEDS = range(12)


def shares(at: Tissues) -> list[Plane]:
    return [at.brain, at.grey, at.fluid, at.inner_bone, at.skull, at.scalp, at.lesion]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_tissue_has_a_share_of_every_pixel(seed: int) -> None:
    for share in shares(slice_of_tissues(default_rng(seed))):
        assert share.shape == (SLICE_PIXELS, SLICE_PIXELS)
        assert share.dtype == np.float32
        assert 0 <= share.min() <= share.max() <= 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_head_lies_in_its_field_with_air_around(seed: int) -> None:
    at = slice_of_tissues(default_rng(seed))
    head = at.brain + at.skull + at.scalp
    assert 0.2 < (head > 0.5).mean() < 0.75
    assert head[0].max() == head[-1].max() == 0
    assert (at.brain > 0.5).sum() > (at.brain * at.grey > 0.5).sum() > 0
    assert (at.brain * at.fluid > 0.5).any()


def test_the_same_seed_draws_the_same_head_and_another_another() -> None:
    first, again, other = (slice_of_tissues(default_rng(seed)) for seed in (3, 3, 4))
    assert all(map(np.array_equal, shares(first), shares(again)))
    assert not np.array_equal(first.grey, other.grey)


def test_fluid_is_dark_in_t1_and_bright_in_t2() -> None:
    at = slice_of_tissues(default_rng(1))
    fluid = (at.fluid > 0.9) & (at.brain > 0.9)
    white = (at.fluid < 0.1) & (at.grey < 0.1) & (at.lesion < 0.1) & (at.brain > 0.9)
    t1, t2 = (pictured(each, at, default_rng(2)) for each in ("mri-t1", "mri-t2"))
    assert t1[fluid].mean() < 0.6 * t1[white].mean()
    assert t2[white].mean() < 0.6 * t2[fluid].mean()


@pytest.mark.parametrize("modality", CONTRASTS)
def test_it_is_drawn_in_every_contrast(modality: str) -> None:
    picture = pictured(modality, slice_of_tissues(default_rng(5)), default_rng(6))  # type: ignore[arg-type]
    assert picture.shape == (SLICE_PIXELS, SLICE_PIXELS)
    assert np.isfinite(picture).all()
    assert picture.max() > 5 * picture[:5].mean()
