"""Which model may answer, and where."""

from typing import Any
from uuid import UUID

import pytest

from domain import model as models
from domain.errors import NotHere, NotPassed, Refused
from domain.model import (
    Model,
    Promoted,
    Registered,
    evolve,
    promote,
    record_test,
    register,
    retire,
)

EVENT = UUID(int=1)


def registered(synthetic: bool = False) -> Registered:
    return Registered("m", "1", "ce-vs-laa", "a" * 64, "b" * 64, "c" * 64, "ingest-1", synthetic)


def report(passed: bool, split: str = "test") -> models.Tested:
    return models.Tested("c" * 64, split, "d" * 64, "e" * 64, passed, {"auroc": 812})


def after(*events: Any) -> Model:
    model = Model()
    for event in events:
        model = evolve(model, event, EVENT)
    return model


def test_a_model_is_registered_once() -> None:
    assert register(Model(), registered()) == [registered()]
    assert register(after(registered()), registered()) == []


def test_a_test_is_noted_once_and_a_later_one_stands() -> None:
    assert record_test(after(registered()), report(False)) == [report(False)]
    model = after(registered(), report(False))
    assert record_test(model, report(False)) == []
    assert record_test(model, report(True)) == [report(True)]
    with pytest.raises(Refused, match="not registered"):
        record_test(Model(), report(True))


def test_only_who_passed_answers() -> None:
    for model in (after(registered()), after(registered(), report(True), report(False))):
        with pytest.raises(NotPassed):
            promote(model, Promoted("champion"), "site")
    passed = after(registered(), report(False), report(True))
    assert promote(passed, Promoted("champion"), "site") == [Promoted("champion")]
    assert after(registered(), report(True), Promoted("champion")).serves
    assert (
        promote(after(registered(), report(True), Promoted("shadow")), Promoted("shadow"), "site")
        == []
    )


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_test_on_cases_that_models_learn_from_promotes_nobody(split: str) -> None:
    with pytest.raises(NotPassed, match=split):
        promote(after(registered(), report(True, split)), Promoted("shadow"), "site")
    assert promote(after(registered(), report(True, "external")), Promoted("champion"), "site")


def test_a_synthetic_model_is_for_the_demo_and_the_demo_for_it() -> None:
    model = after(registered(synthetic=True), report(True))
    assert promote(model, Promoted("demo"), "demo") == [Promoted("demo")]
    with pytest.raises(NotHere):
        promote(model, Promoted("demo"), "site")
    with pytest.raises(Refused, match="only be promoted to the role `demo`"):
        promote(model, Promoted("champion"), "demo")


def test_a_retired_model_answers_no_more() -> None:
    model = after(registered(), report(True), Promoted("champion"))
    [retired] = retire(model, "another serves")
    assert not after(registered(), report(True), Promoted("champion"), retired).serves
    assert retire(after(registered()), "never served") == []
