"""The gate's nets: the recipe gives the same net twice, and the exported file says what torch says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.random import default_rng

from training.contrasts import CONTRASTS, drawn
from training.gate import heads, pages
from training.gate.judge import Judge, Jury
from training.gate.net import TASKS, Drawn, Recipe, export, judged, train
from training.phantom import SLICE_PIXELS
from workers.ingest.recognise import PAGES, SEQUENCES

RECIPE = Recipe("sequence", 5, 48, 2, widths=(4, 6, 8, 10), batch=16)


@pytest.fixture(scope="module")
def tiles() -> Drawn:
    return heads.many(RECIPE.pictures, RECIPE.seed)


@pytest.fixture(scope="module")
def judge(tiles: Drawn) -> Judge:
    return judged(train(RECIPE, tiles), tiles, tiles, SEQUENCES)


def test_the_same_recipe_makes_the_same_net(tiles: Drawn) -> None:
    first, second = (train(RECIPE, tiles).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_file_says_what_torch_says(judge: Judge, tiles: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(judge, 1, tiles[0].shape[-1], path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    chances, strangeness = session.run(None, {"pictures": tiles[0]})
    with torch.no_grad():
        expected = judge(torch.from_numpy(tiles[0]))
    assert np.allclose(chances, expected[0].numpy(), atol=1e-4)
    assert np.allclose(strangeness, expected[1].numpy(), atol=1e-3)


def test_a_jury_says_the_mean_of_what_its_members_say(judge: Judge, tiles: Drawn) -> None:
    other = judged(train(RECIPE.of(1), tiles), tiles, tiles, SEQUENCES)
    pictures = torch.from_numpy(tiles[0])
    with torch.no_grad():
        each = [judge(pictures), other(pictures)]
        together = Jury([judge, other])(pictures)
    assert not torch.equal(each[0][0], each[1][0])
    for said, apart in zip(together, zip(*each, strict=True), strict=True):
        assert torch.allclose(said, torch.stack(apart).mean(0))


@torch.no_grad()
def test_what_is_like_nothing_it_was_fitted_on_is_strange(judge: Judge, tiles: Drawn) -> None:
    scans = torch.from_numpy(tiles[0][tiles[1] != SEQUENCES.index("other")])
    _, near = judge(scans)
    _, far = judge(torch.ones(4, 1, *scans.shape[2:]))
    assert float(near.max()) <= 1.05
    assert float(far.min()) > 1


@pytest.mark.parametrize("modality", CONTRASTS)
def test_a_head_is_brighter_than_air_in_every_contrast(modality: str) -> None:
    plane = drawn(modality, default_rng(1))  # type: ignore[arg-type]
    assert plane.shape == (SLICE_PIXELS, SLICE_PIXELS)
    middle = SLICE_PIXELS // 2
    assert plane[middle - 9 : middle + 9, middle - 9 : middle + 9].mean() > 3 * plane[:6].mean()


def test_whole_pictures_are_drawn_in_every_class() -> None:
    pictures, classes = pages.many(40, 2)
    assert pictures.shape == (40, TASKS["page"].channels, 128, 128)
    assert set(classes) == set(range(len(PAGES)))
    assert 0 <= pictures.min() < pictures.max() <= 1
