"""Which examinations a case calls for: what must hold whatever the model said."""

from collections.abc import Mapping
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from domain import examination
from domain.advice import Advice, choose
from domain.case import Prediction
from domain.examination import Added, Examination, Retired, Revised
from domain.stroke import Answer
from tests.made import an_id, declined, ingested, opened, produced, shipped, submitted, told

CATALOGUE = shipped()
CASE = told(opened(), submitted(), ingested())
CARDIOEMBOLIC = produced(CASE, "cardioembolic")
LARGE_ARTERY = produced(CASE, "large-artery")
ABSTAINS = produced(CASE, "cardioembolic", 520, abstains=True)
SMALL_VESSEL = declined(CASE, "not-applicable")
PREDICTIONS: tuple[Prediction | None, ...] = (
    CARDIOEMBOLIC,
    LARGE_ARTERY,
    ABSTAINS,
    SMALL_VESSEL,
    declined(CASE, "out-of-distribution"),
    declined(CASE, "failed"),
    None,
)
AF: tuple[Answer, ...] = ("yes", "no", "unknown")
EVERY = list(product(PREDICTIONS, AF))


def chosen(
    prediction: Prediction | None,
    af: Answer = "unknown",
    catalogue: Mapping[UUID, Examination] = CATALOGUE,
) -> list[Examination]:
    return [catalogue[advice.id] for advice in choose(catalogue, prediction, af)]


def codes(prediction: Prediction | None, af: Answer = "unknown") -> list[str]:
    return [row.code for row in chosen(prediction, af)]


def text_of(row: Examination) -> Added | Revised:
    assert row.text is not None
    return row.text


def test_a_cardioembolic_answer_leads_with_rhythm_heart_and_vessels() -> None:
    assert codes(CARDIOEMBOLIC)[:3] == ["ce.telemetry", "ce.tte", "base.vessels"]


def test_a_large_artery_answer_leads_with_the_arteries() -> None:
    assert codes(LARGE_ARTERY)[:3] == ["laa.duplex", "laa.intracranial", "base.vessels"]


def test_a_small_vessel_pattern_leads_with_risk_factors() -> None:
    assert codes(SMALL_VESSEL)[0] == "base.bloods"


def test_abstaining_leads_with_both_work_ups() -> None:
    assert set(codes(ABSTAINS)[:5]) == {
        "base.vessels",
        "ce.telemetry",
        "ce.tte",
        "laa.duplex",
        "laa.intracranial",
    }


@pytest.mark.parametrize("prediction", [p for p in PREDICTIONS if p is not SMALL_VESSEL][2:])
def test_without_one_likely_cause_both_work_ups_are_told(prediction: Prediction | None) -> None:
    for block in ("cardioembolic", "large-artery"):
        first = {
            row.code
            for row in CATALOGUE.values()
            if block in text_of(row).when.blocks and text_of(row).priority == 1
        }
        assert first
        assert first <= set(codes(prediction))


@pytest.mark.parametrize(("prediction", "af"), EVERY)
def test_the_base_is_always_there(prediction: Prediction | None, af: Answer) -> None:
    base = {code for code in (row.code for row in CATALOGUE.values()) if code.startswith("base.")}
    assert len(base) == 4
    assert base <= set(codes(prediction, af))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_known_atrial_fibrillation_is_not_looked_for(prediction: Prediction | None) -> None:
    dropped = set(codes(prediction, "unknown")) - set(codes(prediction, "yes"))
    assert dropped == {"ce.telemetry", "ce.ilr"}
    assert set(codes(prediction, "no")) == set(codes(prediction, "unknown"))


@pytest.mark.parametrize(("prediction", "af"), EVERY)
def test_what_the_data_cannot_decide_stands_behind_all_else(
    prediction: Prediction | None, af: Answer
) -> None:
    conditional = [text_of(row).when.condition is not None for row in chosen(prediction, af)]
    assert conditional == sorted(conditional)
    assert not any(conditional[:3])


@pytest.mark.parametrize(("prediction", "af"), EVERY)
def test_no_row_comes_twice_or_without_a_source(prediction: Prediction | None, af: Answer) -> None:
    rows = chosen(prediction, af)
    assert len({row.code for row in rows}) == len(rows)
    assert all(text_of(row).source for row in rows)


def test_a_retired_examination_is_never_shown() -> None:
    telemetry = examination.examination_id("ce.telemetry")
    retired = examination.evolve(CATALOGUE[telemetry], Retired(reason="test"), an_id("retired"))
    remaining = choose({**CATALOGUE, telemetry: retired}, CARDIOEMBOLIC, "unknown")
    assert telemetry not in {advice.id for advice in remaining}
    assert len(remaining) == len(CATALOGUE) - 1


def test_an_examination_that_does_not_exist_is_never_shown() -> None:
    assert choose({an_id("nothing"): Examination()}, CARDIOEMBOLIC, "unknown") == ()


def test_advice_names_the_revision_that_is_shown() -> None:
    tte = examination.examination_id("ce.tte")
    catalogue = {tte: replace(CATALOGUE[tte], revision=4)}
    assert choose(catalogue, CARDIOEMBOLIC, "unknown") == (Advice(tte, 4, priority=1),)


@given(st.permutations(list(CATALOGUE)), st.sampled_from(EVERY))
@settings(max_examples=60, deadline=None)
def test_the_order_does_not_depend_on_how_the_catalogue_lies_in_memory(
    order: list[UUID], asked: tuple[Prediction | None, Answer]
) -> None:
    shuffled = {key: CATALOGUE[key] for key in order}
    assert choose(shuffled, *asked) == choose(CATALOGUE, *asked)
