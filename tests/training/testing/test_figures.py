"""What a test says of models that are good, lucky, cheating or blind."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.testing.made import drawn, outcome
from training.testing.acceptance import (
    ACCEPTANCE_FILE,
    Acceptance,
    AcceptanceRefused,
    Limit,
    read_acceptance,
    verdicts,
)
from training.testing.invariances import CHANGES
from training.testing.slices import Slice


def fair(rng: np.random.Generator, positive: bool, number: int) -> float:
    return float(0.5 + (0.1 if positive else -0.1) + rng.normal(0, 0.15))


def blind(rng: np.random.Generator, positive: bool, number: int) -> float:
    return float(rng.random())


def all_knowing(rng: np.random.Generator, positive: bool, number: int) -> float:
    return 0.95 if positive else 0.05


def by_layout(rng: np.random.Generator, positive: bool, number: int) -> float:
    """Sees the viewer, and nothing else."""
    return float((0.3, 0.7)[number // 2 % 2] + rng.normal(0, 0.05))


def test_a_fair_model_is_told_with_its_interval_and_raises_no_alarm() -> None:
    found = outcome(drawn(600, fair))
    figures = found.figures
    assert figures["auroc"] == pytest.approx(0.83, abs=0.03)
    low, high = figures["auroc_low"], figures["auroc_high"]
    assert low
    assert high
    assert low < figures["auroc"] < high  # type: ignore[operator]
    assert 0.04 < high - low < 0.10
    assert figures["rule_auroc"] == 0.5
    assert found.alarms == []
    assert found.warnings == []


def test_a_blind_model_fails_the_limits_that_come_with_us() -> None:
    found = outcome(drawn(600, blind))
    held = verdicts(read_acceptance(), {**dict.fromkeys(read_acceptance().limits), **found.figures})
    assert "auroc_low" in [verdict.name for verdict in held if not verdict.holds]


def test_a_model_is_held_against_the_regression_that_was_trained_beside_it() -> None:
    cases = drawn(600, fair)
    assert outcome(cases).figures["above_logistic_low"] is None
    rng = np.random.default_rng(8)
    worse = [case._replace(logistic=float(rng.normal(0.2 * case.positive, 1))) for case in cases]
    figures = outcome(worse).figures
    assert figures["logistic_auroc"] == pytest.approx(0.55, abs=0.06)
    assert figures["above_logistic_low"] > 0.15  # type: ignore[operator]
    same = [case._replace(logistic=case.score / 1000) for case in cases]
    assert outcome(same).figures["above_logistic_low"] == 0


def test_a_case_in_which_the_model_saw_nothing_counts_as_one_that_was_not_answered() -> None:
    all_seen = outcome(drawn(100, all_knowing)).figures
    found = outcome(drawn(100, all_knowing), unseen=100).figures
    assert (all_seen["unseen"], all_seen["answered_rate"]) == (0, 1)
    assert (found["n"], found["unseen"], found["answered_rate"]) == (100, 100, 0.5)
    assert found["accuracy_answered"] == 1


def test_a_dozen_cases_show_nothing() -> None:
    figures = {**dict.fromkeys(read_acceptance().limits), **outcome(drawn(12, fair)).figures}
    failed = {each.name for each in verdicts(read_acceptance(), figures) if not each.holds}
    assert {"n", "n_positive"} <= failed


def test_labels_drawn_by_lot_must_not_be_told() -> None:
    assert outcome(drawn(600, blind), mode="null").alarms == []
    [alarm] = outcome(drawn(600, fair), mode="null").alarms
    assert "better than by chance" in alarm


def test_more_than_the_oracle_is_a_leak() -> None:
    [alarm] = outcome(drawn(600, all_knowing), oracle=True).alarms
    assert "the best there can be: a leak" in alarm


def test_the_best_there_can_be_knows_more_than_the_oracle() -> None:
    found = outcome(drawn(600, all_knowing), oracle=True, ceiling=True)
    assert found.figures["oracle_auroc"] == 0.75
    assert (found.figures["ceiling_auroc"], found.alarms) == (1.0, [])


def test_a_score_that_tells_the_viewer_is_a_shortcut() -> None:
    alarms = outcome(drawn(600, by_layout)).alarms
    assert alarms == [
        f"the score tells how a case came (layout {layout}): a shortcut"
        for layout in ("dark", "light")
    ]


def test_too_good_on_real_cases_is_a_warning() -> None:
    found = outcome(drawn(200, all_knowing, origin="bot"))
    [warning] = found.warnings
    assert "look for a leak" in warning


def test_a_slice_with_few_cases_says_so_and_no_more() -> None:
    [few] = [each for each in outcome(drawn(40, fair)).slices if each.by == "channel"]
    [enough] = [each for each in outcome(drawn(80, fair)).slices if each.by == "channel"]
    assert (few.cases, few.auroc) == (40, None)
    assert enough.auroc is not None


def test_a_slice_is_not_blamed_for_what_nobody_could_tell_there() -> None:
    whole = Slice("", "", 200, 100, 0.80, 0.90)
    assert Slice("lesion", "small", 80, 40, 0.65, 0.80).below(whole) == pytest.approx(0.05)
    assert Slice("site", "south", 80, 40, 0.65, 0.95).below(whole) == pytest.approx(0.15)
    assert Slice("site", "north", 80, 40, 0.85, 0.90).below(whole) == 0.0
    assert Slice("site", "west", 80, 40, 0.65).below(whole) == pytest.approx(0.15)


def test_what_is_not_measured_fails_only_where_it_is_required() -> None:
    limits = {"ece": Limit(at_most=0.1), "coverage": Limit(at_least=0.9, required=False)}
    held = verdicts(Acceptance(limits, ""), {"ece": None, "coverage": None})
    assert [verdict.holds for verdict in held] == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[ece]\nat_most = 'low'", "[ece]\nat_lest = 1", "not toml", "[nothing]\nat_most = 1"),
        *("[ece]", "[ece]\nrequired = true"),
    ],
)
def test_a_file_of_limits_that_would_let_all_pass_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "acceptance.toml"
    file.write_text(text)
    with pytest.raises(AcceptanceRefused):
        verdicts(read_acceptance(file), {"ece": 0.1})


def test_every_limit_that_comes_with_us_is_measured() -> None:
    measured = outcome(drawn(100, fair)).figures
    names = set(read_acceptance(ACCEPTANCE_FILE).limits)
    moved = {f"moved_by_{name}" for name in CHANGES}
    assert names - moved <= set(measured)
