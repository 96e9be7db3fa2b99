"""Training repeats itself to the last bit; calibration and export keep what they promise."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from training import evaluate
from training.module import StrokeMIL
from training.onegraph import Calibrated, export
from training.train import Config, Example, af_input, logits, train, weights_sha256

TINY = Config(epochs=3, batch_cases=4)


def blots(count: int) -> list[Example]:
    """Cases one can tell apart at a glance: a large bright blot, or a small one."""
    rng = np.random.default_rng(5)
    made = []
    for number in range(count):
        tiles = rng.random((2, 1, 96, 96), np.float32) * np.float32(0.3)
        side = (40, 6)[number % 2]
        tiles[:, :, 20 : 20 + side, 20 : 20 + side] = 1
        made.append(Example(f"case-{number}", tiles, ("yes", "no")[number % 2], number % 2))
    return made


@pytest.fixture(scope="module")
def trained() -> StrokeMIL:
    return train(blots(16), TINY, seed=3)


def test_two_runs_give_the_same_weights(trained: StrokeMIL) -> None:
    again = train(blots(16), TINY, seed=3)
    assert weights_sha256(again) == weights_sha256(trained)


def test_another_seed_gives_other_weights(trained: StrokeMIL) -> None:
    other = train(blots(16), Config(epochs=1, batch_cases=4), seed=4)
    assert weights_sha256(other) != weights_sha256(trained)


def test_training_learns_what_is_plain_to_see(trained: StrokeMIL) -> None:
    cases = blots(8)
    guess = logits(trained, cases).argmax(1)
    assert guess.tolist() == [case.target for case in cases]


def test_atrial_fibrillation_speaks_for_embolism(trained: StrokeMIL) -> None:
    yes, no = trained.head.af.data
    assert yes[0] - yes[1] > 0 > no[0] - no[1]


def test_temperature_undoes_overconfidence() -> None:
    torch.manual_seed(0)
    scores = torch.randn(4000)
    target = (torch.rand(4000) < torch.sigmoid(-scores)).long()
    honest = torch.stack([scores / 2, -scores / 2], 1)
    assert evaluate.temperature(honest, target) == pytest.approx(1, abs=0.1)
    assert evaluate.temperature(honest * 3, target) == pytest.approx(3, abs=0.3)


def test_perfection_on_few_cases_does_not_make_certainty() -> None:
    target = torch.tensor([0, 1] * 20)
    perfect = torch.nn.functional.one_hot(target, 2) * 8.0
    shared = torch.softmax(perfect / evaluate.temperature(perfect, target), 1)
    assert shared.max() == pytest.approx(21 / 22, abs=0.002)


@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [(7, 10, 0.397, 0.892), (70, 100, 0.604, 0.781), (0, 5, 0, 0.434), (0, 0, 0, 1)],
)
def test_wilson_bounds_agree_with_published_values(
    right: int, cases: int, low: float, high: float
) -> None:
    assert evaluate.wilson(right, cases) == pytest.approx((low, high), abs=0.001)


def test_every_answer_falls_into_one_interval() -> None:
    rng = torch.Generator().manual_seed(0)
    share = torch.rand(300, generator=rng)
    rows = evaluate.intervals(torch.stack([share, 1 - share], 1), (share < 0.5).long())
    assert rows[0].at_least == evaluate.ABSTAIN_BELOW_PERMILLE
    assert rows[-1].below > 1000
    assert all(one.below == two.at_least for one, two in pairwise(rows))
    answered = ((1000 * torch.maximum(share, 1 - share)).round() >= 550).sum()
    assert sum(row.cases for row in rows) == sum(row.right for row in rows) == answered


@pytest.fixture(scope="module")
def exported(trained: StrokeMIL, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export(Calibrated(trained, 1.7), file)
    return file


def test_the_graph_computes_what_torch_computes(trained: StrokeMIL, exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    model = Calibrated(trained, 1.7).eval()
    for count in (1, 2, 9):
        tiles = np.random.default_rng(count).random((count, 1, 96, 96), np.float32)
        probability, attention = session.run(None, {"tiles": tiles, "af": af_input("yes")})
        with torch.no_grad():
            wanted = model(torch.from_numpy(tiles), torch.from_numpy(af_input("yes")))
        assert np.abs(probability - wanted[0].numpy()).max() < 1e-5
        assert np.abs(attention - wanted[1].numpy()).max() < 1e-5
        assert probability.sum() == pytest.approx(1)


def test_exporting_again_gives_the_same_bytes_that_tell_nothing_of_where(
    trained: StrokeMIL, exported: Path, tmp_path: Path
) -> None:
    export(Calibrated(trained, 1.7), tmp_path / "again.onnx")
    data = exported.read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == data
    assert str(Path(__file__).parents[2]).encode() not in data
    onnx.checker.check_model(onnx.load(exported), full_check=True)
