"""A net of ink can be trained on from its file, and its recipe says how fast it learns when."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from onnxruntime import InferenceSession
from torch.nn import functional

from training.overlay_net import OverlayNet, Recipe, export
from training.overlay_start import resume, unfolded
from training.overlays import writing
from training.overlays.crops import faded

WIDTHS = (4, 6, 8, 10)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""torch's exporter to ONNX deprecates itself."""


def pictures(number: int) -> torch.Tensor:
    drawn = default_rng(number).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    return torch.from_numpy(drawn)


def trained() -> OverlayNet:
    """A net whose norms have seen pictures."""
    torch.manual_seed(3)
    net = OverlayNet(WIDTHS)
    for number in range(4):
        net(pictures(number))
    return net.eval()


def test_a_net_taken_up_from_its_file_answers_as_before(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export(trained(), path)
    (before,) = InferenceSession(path).run(None, {"rgb": pictures(9)[:1].numpy()})
    net = OverlayNet(WIDTHS)
    resume(net, path, [pictures(number) for number in range(4)])
    assert np.allclose(net.eval()(pictures(9)[:1]).detach().numpy(), before, atol=1e-3)


def test_weights_over_blocks_of_pixels_are_weights_over_pixels() -> None:
    picture, weight = torch.rand(1, 3, 16, 24), torch.rand(5, 12, 3, 3)
    blocks = functional.conv2d(functional.pixel_unshuffle(picture, 2), weight, padding=1)
    pixels = functional.conv2d(picture, unfolded(weight), stride=2, padding=2)
    assert torch.allclose(blocks, pixels, atol=1e-4)


def test_its_norms_have_statistics_again_so_that_training_goes_on_from_there(
    tmp_path: Path,
) -> None:
    path = tmp_path / "net.onnx"
    export(trained(), path)
    net, sample = OverlayNet(WIDTHS), pictures(1)
    resume(net, path, [sample])
    learning = net.train()(sample).detach().numpy()
    assert np.allclose(learning, net.eval()(sample).detach().numpy(), atol=0.5)


def test_the_rate_of_learning_rises_stays_and_falls() -> None:
    recipe = Recipe(1, 1000, WIDTHS, learning_rate=1.0, cool_steps=200)
    assert [recipe.rate(step) for step in (0, 25, 50, 800, 900, 1000)] == [0, 0.5, 1, 1, 0.5, 0]


def test_a_faint_line_is_a_grey_close_to_what_it_lies_on() -> None:
    line = writing.ink("tuning", default_rng(1))
    place = np.full((*line.coverage.shape, 3), 120, np.uint8)
    greys = {faded(line, place, (9, 45), default_rng(seed)).colour for seed in range(40)}
    assert all(9 <= abs(level - 120) <= 45 for colour in greys for level in colour)
    assert {level > 120 for level, *_ in greys} == {True, False}
