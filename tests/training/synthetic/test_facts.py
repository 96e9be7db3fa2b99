"""What cases are drawn from is the table and nothing else, and the oracle knows how far that carries."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import sqrt

import numpy as np
import pytest
from numpy.random import default_rng

from domain.stroke import PREDICTED
from training.synthetic.facts import Facts, Plan, facts
from training.synthetic.frequencies import (
    AF_FOUND,
    AF_UNKNOWN,
    DIFFICULTY,
    EASY,
    MODES,
    OTHERS,
    TABLE,
    Mode,
    shares,
)
from training.synthetic.keyimages import IMAGES_SHARE, choose
from training.synthetic.oracle import (
    auroc,
    ceiling,
    ceiling_auroc,
    oracle_auroc,
    pattern_auroc,
    posterior,
)

COUNT = 3000
FIRST_MULTIPLE = list(TABLE).index("scattered")


def drawn(mode: Mode, count: int = COUNT, **knobs: float) -> list[Facts]:
    plan = Plan(mode=mode, seed=11, **knobs)  # type: ignore[arg-type]
    return [facts(plan, number) for number in range(count)]


def fits(seen: Mapping[str, int], wanted: Mapping[str, float]) -> bool:
    """Chi-square at p = 0.001 (Wilson and Hilferty's approximation of its quantile)."""
    total, free = sum(seen.values()), sum(share > 0 for share in wanted.values()) - 1
    assert all(wanted.get(name, 0) > 0 for name in seen)
    statistic = sum(
        (seen.get(name, 0) - share * total) ** 2 / (share * total)
        for name, share in wanted.items()
        if share > 0
    )
    return statistic < free * (1 - 2 / (9 * free) + 3.09 * sqrt(2 / (9 * free))) ** 3


def counted(cases: Iterable[Facts], cause: str) -> Counter[str]:
    return Counter(one.finding.pattern for one in cases if one.cause == cause)


def odds_ratio(cardioembolic: float, large_artery: float) -> float:
    return (cardioembolic / (1 - cardioembolic)) / (large_artery / (1 - large_artery))


@pytest.mark.parametrize("cause", PREDICTED)
@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
def test_patterns_come_as_often_as_the_table_says(cause: str, difficulty: float) -> None:
    seen = counted(drawn("realistic", difficulty=difficulty), cause)
    wanted = dict(zip(TABLE, shares(cause, difficulty), strict=True))  # type: ignore[arg-type]
    assert fits(seen, wanted)


def test_a_wrong_table_would_be_noticed() -> None:
    seen = counted(drawn("realistic"), "cardioembolic")
    assert not fits(seen, dict(zip(TABLE, shares("large-artery", 1.0), strict=True)))


def test_the_table_has_the_published_odds_ratios() -> None:
    columns = np.array([tendency.share for tendency in TABLE.values()]).T
    assert columns.sum(1) == pytest.approx([1, 1])
    by_name = dict(zip(TABLE, columns.T, strict=True))
    assert 0.31 < odds_ratio(*by_name["small-subcortical"]) < 0.80
    bilateral = by_name["bilateral-anterior"] + by_name["anterior-and-posterior"]
    assert 2.2 < odds_ratio(*bilateral) < 5.29
    assert columns[:, FIRST_MULTIPLE:].sum(1) == pytest.approx([0.46, 0.66])


def test_atrial_fibrillation_is_often_unknown_and_rarely_found_without_embolism() -> None:
    cases = drawn("realistic")
    for cause, found in zip(PREDICTED, AF_FOUND, strict=True):
        answers = Counter(one.af for one in cases if one.cause == cause)
        known = 1 - AF_UNKNOWN
        wanted = {"unknown": AF_UNKNOWN, "yes": known * found, "no": known * (1 - found)}
        assert fits(answers, wanted)


def test_where_it_is_easy_no_pattern_has_two_causes() -> None:
    for cause, patterns in EASY.items():
        assert set(counted(drawn("easy", 400), cause)) == set(patterns)


def test_labels_of_null_say_nothing_about_a_case_that_is_otherwise_the_same() -> None:
    real, null = drawn("realistic"), drawn("null")
    assert [one.finding for one in null] == [one.finding for one in real]
    assert [one.af for one in null] == [one.af for one in real]
    agreed = Counter(str(a.cause == b.cause) for a, b in zip(real, null, strict=True))
    assert fits(agreed, {"True": 0.5, "False": 0.5})
    for part in ("train", "test"):
        yes = Counter(one.cause for one in null if one.af == "yes" and one.split == part)
        assert fits(yes, dict.fromkeys(PREDICTED, 0.5))


def test_prevalence_and_other_causes_are_knobs() -> None:
    rare = Counter(one.cause for one in drawn("realistic", prevalence=0.2))
    assert fits(rare, {"cardioembolic": 0.2, "large-artery": 0.8})
    others = Counter(one.cause for one in drawn("realistic", others=1.0))
    assert fits(others, OTHERS)  # type: ignore[arg-type]


def test_small_vessels_make_lacunes_and_who_has_no_stroke_has_no_lesion() -> None:
    cases = drawn("realistic", 400, others=1.0)
    assert set(counted(cases, "small-vessel")) == {"small-subcortical"}
    assert set(counted(cases, "not-a-stroke")) == {"none"}


def test_a_new_centre_is_only_met_in_shift() -> None:
    usual = {one.centre for mode in MODES if mode != "shift" for one in drawn(mode, 20)}
    assert usual == {"centre-a", "centre-b", "centre-c"}
    assert {one.centre for one in drawn("shift", 20)} == {"centre-new"}


def test_auroc_is_that_of_every_pair_ties_counting_half() -> None:
    chances = default_rng(1).dirichlet([1] * 6, 2).T
    chances[3] = chances[2] * 1.5
    chances /= chances.sum(0)
    ratio = np.round(chances[:, 0] / chances[:, 1], 9)
    wins = (ratio[:, None] > ratio[None]) + 0.5 * (ratio[:, None] == ratio[None])
    assert auroc(chances) == pytest.approx(chances[:, 0] @ wins @ chances[:, 1])


def test_the_oracle_knows_the_ends_of_the_scale() -> None:
    assert oracle_auroc(Plan(mode="easy")) == pytest.approx(1)
    assert oracle_auroc(Plan(mode="null")) == ceiling_auroc(Plan(mode="null")) == 0.5
    assert pattern_auroc(Plan(mode="realistic")) == pytest.approx(0.728, abs=5e-4)
    assert set(DIFFICULTY) == set(MODES)


def test_more_difficulty_leaves_the_oracle_less() -> None:
    told = [oracle_auroc(Plan(difficulty=step / 4)) for step in range(5)]
    assert told == sorted(told, reverse=True)
    plan = Plan()
    assert pattern_auroc(plan) < oracle_auroc(plan) < ceiling_auroc(plan) < 1


@pytest.mark.parametrize(
    ("said", "promised"), [(posterior, oracle_auroc), (ceiling, ceiling_auroc)]
)
def test_who_knows_the_table_does_on_drawn_cases_as_well_as_promised(
    said: Callable[[Plan, Facts], float | None], promised: Callable[[Plan], float]
) -> None:
    plan, cases = Plan(seed=11), drawn("realistic")
    score = np.array([said(plan, one) or 0.0 for one in cases])
    positive = np.array([one.cause == "cardioembolic" for one in cases])
    above, below = score[positive], score[~positive]
    wins = (above[:, None] > below).mean() + 0.5 * (above[:, None] == below).mean()
    assert wins == pytest.approx(promised(plan), abs=0.03)
    assert positive[score > 0.7].mean() == pytest.approx(score[score > 0.7].mean(), abs=0.05)


def test_no_posterior_where_the_question_does_not_apply() -> None:
    plan = Plan(others=1.0)
    assert {posterior(plan, facts(plan, number)) for number in range(20)} == {None}


def test_a_case_has_one_to_eight_pictures() -> None:
    lesion, rng = np.ones((15, 50, 50), bool), default_rng(2)
    counts = Counter(str(len(choose(lesion, 1.0, rng))) for _ in range(COUNT))
    assert fits(counts, {str(n): share for n, share in enumerate(IMAGES_SHARE, 1)})


def test_mistakes_are_made_in_life_and_not_where_it_is_easy() -> None:
    lesion, rng = np.ones((15, 50, 50), bool), default_rng(3)
    shots = [shot for _ in range(600) for shot in choose(lesion, 1.0, rng)]
    assert any(shot.stranger for shot in shots)
    assert any(shot.mirrored for shot in shots)
    assert {shot.turned_degrees for shot in shots} == {0, 90, 180, 270}
    assert {len(shot.heights_mm) for shot in shots} == {1, 4, 9}
    assert all(s.duplicate_of is None or 0 <= s.duplicate_of < 8 for s in shots)
    easy = [shot for _ in range(100) for shot in choose(lesion, 0.0, rng)]
    assert {(s.stranger, s.mirrored, s.turned_degrees, s.duplicate_of) for s in easy} == {
        (False, False, 0, None)
    }
    assert {shot.sequence for shot in easy} == {"mri-dwi"}
