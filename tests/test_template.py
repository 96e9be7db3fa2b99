"""A real brain before the gate: what its figures say, and that they can fail."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from benchmarks import template
from training.gate.gyri import slice_of_tissues
from training.phantom import SLICE_PIXELS, Tissues
from workers.ingest.recognise import MRI


def drawn(folder: Path, seed: int) -> Iterator[Tissues]:
    for number in range(3):
        yield slice_of_tissues(default_rng(seed + number))


def of(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> dict[str, float]:
    monkeypatch.setattr(template, "installed", lambda: Path())
    monkeypatch.setattr(template, "heads_of", drawn)
    monkeypatch.setattr(template.recognise, "named", lambda *_: answer)
    told = template.figures(1)
    assert told is not None
    return told


def test_without_the_template_there_are_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "installed", lambda: None)
    assert template.figures(1) is None


def test_a_gate_that_refuses_all_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = of(monkeypatch, None)
    assert (told["refused"], told["told_right"], told["told_wrong"]) == (1, 0, 0)
    assert told["slices"] == 3 * len(MRI)


def test_a_gate_that_calls_all_t1_is_right_in_one_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    told = of(monkeypatch, "mri-t1")
    assert (told["refused"], told["told_right"], told["told_wrong"]) == (0, 0.2, 0.8)


def test_mri_of_no_certain_sequence_is_neither_right_nor_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = of(monkeypatch, "mri")
    assert (told["refused"], told["told_right"], told["told_wrong"]) == (0, 0, 0)


def test_a_slice_of_the_template_fills_the_phantoms_field_around_its_middle() -> None:
    plane = template.centred(np.ones((150, 120), np.float32))
    assert plane.shape == (SLICE_PIXELS, SLICE_PIXELS)
    rows, columns = (np.flatnonzero(plane.max(axis) > 0.5) for axis in (1, 0))
    assert len(rows) / len(columns) == pytest.approx(150 / 120, rel=0.03)
    assert rows.mean() == pytest.approx(SLICE_PIXELS / 2, abs=1)


def test_a_drawn_skull_lies_around_the_template() -> None:
    brain = np.zeros((SLICE_PIXELS, SLICE_PIXELS), np.float32)
    brain[40:100, 50:95] = 1
    at = template.tissues(brain, 0.6 * brain, 0.3 * brain, 5)
    assert (at.brain[brain > 0] == 1).all()
    assert at.fluid[70, 70] == pytest.approx(0.1)
    assert at.skull.max() > 0.9
    assert (at.scalp * brain).max() == 0
