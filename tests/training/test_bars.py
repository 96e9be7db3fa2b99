"""What training must reach, and must not: easy cases are learnt, labels by lot are not."""

from pathlib import Path

import pytest
from torchmetrics.functional.classification import binary_auroc

from tests.training.running import learnt
from training.examples import examples
from training.finish import seen
from training.synthetic.facts import Mode, Plan
from training.synthetic.rows import write
from training.train import Learnt


def made(folder: Path, mode: Mode, cases: int) -> Path:
    """Heads cut by the truth: the bars are about learning, not about ingest."""
    write(Plan(mode=mode, seed=11), cases, folder, 2, lambda done, of: None, "truth")
    return folder


def auroc(done: Learnt) -> tuple[float, int]:
    """On all cases that were neither learnt from nor stopped by, and how many these are."""
    cases = [*done.data.held_out, *examples(done.data.source, "test")]
    found = seen(done.module, cases)
    score = found.logits[:, 0] - found.logits[:, 1]
    return float(binary_auroc(score, (found.target == 0).int())), len(cases)


def by_chance(cases: int) -> float:
    """The standard error of a blind AUROC, causes even (J. Hanley, B. McNeil, Radiology 143, 1982)."""
    return ((cases + 1) / (3 * cases**2)) ** 0.5


@pytest.mark.parametrize(
    ("cases", "epochs", "bar"),
    [(120, 5, 0.85), pytest.param(500, 12, 0.95, marks=pytest.mark.long)],
    ids=["small", "whole"],
)
def test_easy_cases_are_learnt(tmp_path: Path, cases: int, epochs: int, bar: float) -> None:
    dataset = made(tmp_path / "easy", "easy", cases)
    done = learnt(dataset, tmp_path / "bundle", f"--trainer.max_epochs={epochs}")
    reached, judged = auroc(done)
    assert judged > cases / 5
    assert reached >= bar


@pytest.mark.long
def test_labels_drawn_by_lot_are_not_learnt(tmp_path: Path) -> None:
    dataset = made(tmp_path / "null", "null", 300)
    reached, cases = auroc(learnt(dataset, tmp_path / "bundle"))
    assert abs(reached - 0.5) <= 2.6 * by_chance(cases)
