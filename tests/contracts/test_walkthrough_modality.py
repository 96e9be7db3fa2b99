"""What CONTRIBUTING.md says about adding a modality, done word for word on the real pipeline."""

from pathlib import Path

import pytest
from numpy.random import default_rng

from tests.contracts.walkthrough import blocks, must_please_ruff
from training.contrasts import drawn
from training.screen import encode, screenshot
from workers import modalities
from workers.ingest import pipeline
from workers.ingest.outcome import Ingested, Refused
from workers.modalities import MODALITIES, Row, serves
from workers.pixels import load

BLOCKS = blocks("Add a modality")
LINES_MAX = 6


def registered() -> Row:
    """What the row makes, with the function among the names of the table's module."""
    names = dict(vars(modalities))
    exec(BLOCKS[0], names)
    made = eval(BLOCKS[1], names)
    assert isinstance(made, Row)
    return made


def a_ct() -> bytes:
    rng = default_rng(12)
    canvas, _ = screenshot([drawn("ct", rng)], (), rng)
    return encode(canvas, "document", False, rng)


def test_a_modality_takes_one_row_and_one_function() -> None:
    assert sum(len(block.splitlines()) for block in BLOCKS) <= LINES_MAX


def test_the_walkthrough_is_written_as_the_checks_want(tmp_path: Path) -> None:
    file = tmp_path / "modality.py"
    file.write_text(BLOCKS[0].split("\n", 1)[1].replace('"Gray"', '"object"'))
    must_please_ruff(file)


def test_the_walkthroughs_modality_is_ingested_and_nothing_is_predicted_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = pipeline.named("ingest-3")
    kept = pipeline.process(a_ct(), "ingest-3")
    assert kept == Refused("quarantined", "not-used-yet", modality="ct")
    monkeypatch.setitem(MODALITIES, "ct", registered())
    used = pipeline.process(a_ct(), "ingest-3")
    assert isinstance(used, Ingested)
    assert used.sequences == ("ct",)
    assert load(used.derivative).max() == 160
    assert not serves(used.sequences, "ce-vs-laa")
    assert pipeline.named("ingest-3") != before
