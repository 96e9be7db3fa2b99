"""Who is asked about a case, and what taking the last promotion back brings back."""

from typing import Any
from uuid import UUID, uuid5

import pytest

from domain.audience import ALL, Audience, BadAudience, audience
from domain.errors import Refused
from domain.lineup import REPLACED, ROLLED_BACK, answering, before, in_place, shadows, standing
from domain.model import Model, Promoted, Retired, promote
from tests.domain.test_model import after, registered, report

ANNA, BORIS = UUID(int=1), UUID(int=2)
CHAMPION, OTHER, SHADOW = UUID(int=11), UUID(int=12), UUID(int=13)
CASE = UUID(int=99)
CASES = [uuid5(CASE, str(number)) for number in range(2000)]


def model(role: Any, words: str = "all") -> Model:
    return after(registered(), report(True), Promoted(role, audience(words)))


def asked(
    models: dict[UUID, Model], case: UUID = CASE, site: str = "north", by: UUID = ANNA
) -> Any:
    return answering(models, case, site, by)


@pytest.mark.parametrize("words", ["all", "site:north", f"person:{ANNA}", "percent:7"])
def test_an_audience_is_said_as_it_is_written(words: str) -> None:
    assert str(audience(words)) == words


@pytest.mark.parametrize(
    "words", ["", "al", "all:1", "site:", "person:anna", "percent:0", "percent:101", "percent:x"]
)
def test_nonsense_is_no_audience(words: str) -> None:
    with pytest.raises(BadAudience):
        audience(words)


def test_a_share_is_about_that_share_and_always_the_same_cases() -> None:
    tenth, third = Audience("percent", "10"), Audience("percent", "33")
    chosen = [case for case in CASES if tenth.includes(case, "", ANNA)]
    assert 0.07 < len(chosen) / len(CASES) < 0.13
    assert all(third.includes(case, "elsewhere", BORIS) for case in chosen)


def test_everybody_is_in_a_hundred_percent() -> None:
    assert all(Audience("percent", "100").includes(case, "", ANNA) for case in CASES)


def test_a_challenger_answers_its_audience_and_the_champion_all_else() -> None:
    models = {CHAMPION: model("champion"), OTHER: model("challenger", "site:north")}
    assert asked(models) == OTHER
    assert asked(models, site="south") == CHAMPION


def test_the_narrowest_audience_goes_first() -> None:
    person, site, share = UUID(int=21), UUID(int=22), UUID(int=23)
    models = {
        person: model("challenger", f"person:{ANNA}"),
        share: model("challenger", "percent:100"),
        site: model("challenger", "site:north"),
    }
    assert asked(models) == person
    assert asked(models, by=BORIS) == site
    assert asked(models, site="south", by=BORIS) == share


def test_where_nobody_is_promoted_nobody_answers() -> None:
    assert asked({}) is None
    assert asked({SHADOW: model("shadow"), OTHER: model("challenger", "site:south")}) is None


def test_shadows_are_asked_about_their_audience() -> None:
    models = {SHADOW: model("shadow", "site:north"), CHAMPION: model("champion")}
    assert shadows(models, CASE, "north", ANNA) == (SHADOW,)
    assert shadows(models, CASE, "south", ANNA) == ()


def test_who_answers_all_has_no_audience() -> None:
    for role in ("champion", "demo"):
        wanted = Promoted(role, audience("site:north"))
        with pytest.raises(Refused, match="answers all"):
            promote(after(registered(), report(True)), wanted, "demo")


def test_a_place_is_taken_by_one() -> None:
    models = {
        CHAMPION: model("demo"),
        OTHER: model("challenger", "percent:10"),
        SHADOW: model("shadow"),
    }
    assert in_place(models, "champion", ALL) == (CHAMPION,)
    assert in_place(models, "challenger", audience("percent:30")) == (OTHER,)
    assert in_place(models, "challenger", audience("site:north")) == ()
    assert in_place(models, "shadow", ALL) == ()


A, B, C = UUID(int=31), UUID(int=32), UUID(int=33)
FIRST = Promoted("champion")
SECOND = Promoted("champion", instead_of=A)
THIRD = Promoted("champion", instead_of=B)
HISTORY = [(A, FIRST), (B, SECOND), (A, Retired(REPLACED)), (C, THIRD), (B, Retired(REPLACED))]
BACK = [(B, Promoted("champion", instead_of=C, rollback=True)), (C, Retired(ROLLED_BACK))]


def test_taking_back_goes_back_step_by_step() -> None:
    steps = standing(HISTORY)
    assert [step.model for step in steps] == [A, B, C]
    assert before(steps) == steps[1]
    once = standing([*HISTORY, *BACK])
    assert [step.model for step in once] == [A, B]
    assert before(once) == once[0]
    assert before(once[:1]) is None


def test_a_model_that_was_ended_does_not_come_back() -> None:
    steps = standing([*HISTORY, (B, Retired("harmful"))])
    assert [step.model for step in steps] == [A, C]
    assert before(steps) is None


def test_shadows_are_no_step() -> None:
    assert standing([(A, Promoted("shadow"))]) == []
