"""Every card, in every state a case can be in, fits where it is shown."""

from itertools import product

import pytest

from domain import case as cases
from domain.case import Case, CaseEvent
from domain.stroke import CAUSES, EVIDENCE
from tests.made import (
    CASE_ID,
    CLINICIAN,
    af,
    declined,
    ingested,
    more,
    opened,
    placed,
    produced,
    rejected,
    submitted,
    told,
)
from tests.shown import CATALOGUE, Visible, actions, longer
from workers import taps
from workers.card import asking, case_card, evidence_keyboard
from workers.texts import LANGUAGES, say

ITEMS = range(10)
IMAGES: dict[str, list[CaseEvent]] = {
    "waiting": [submitted(n) for n in range(3)],
    "usable": [submitted(n) for n in range(3)] + [ingested(n) for n in range(3)],
    "one of many is usable": [submitted(n) for n in ITEMS]
    + [ingested(0)]
    + [
        rejected(n, reason)
        for n, reason in enumerate(
            (
                "unsupported-type",
                "head-too-small",
                "no-head",
                "too-large",
                "too-blurred",
                "failed",
                "animated",
                "time-limit",
                "decoder-failed",
            ),
            start=1,
        )
    ],
    "one problem": [submitted(n) for n in ITEMS]
    + [ingested(0)]
    + [rejected(n, "head-too-small") for n in ITEMS[1:]],
    "none is usable": [submitted(n) for n in ITEMS] + [rejected(n, "no-head") for n in ITEMS],
    "joined": [submitted(0), ingested(0), submitted(1, "window")],
}
SAID = ["nothing", "very", "likely", "slightly", "certain", "abstains", *("na", "ood", "failed")]


def said_about(case: Case, what: str) -> list[CaseEvent]:
    match what:
        case "nothing":
            return []
        case "abstains":
            return [produced(case, permille=520, abstains=True)]
        case "na":
            return [declined(case, "not-applicable")]
        case "ood":
            return [declined(case, "out-of-distribution")]
        case "failed":
            return [declined(case, "failed")]
    permille = {"very": 900, "likely": 700, "slightly": 560, "certain": 1000}[what]
    return [produced(case, permille=permille), placed()]


def every_case(language: str) -> list[Case]:
    """Every state of images, prediction, context and opinion, with the longest words."""
    longest = max(CAUSES, key=lambda cause: len(say(language, f"cause-{cause}")))
    opinions: list[list[CaseEvent]] = [
        [],
        [cases.OpinionGiven(longest, CLINICIAN, None, before_reveal=False)],
    ]
    told_labels: list[list[CaseEvent]] = [
        [],
        [cases.LabelConfirmed(longest, 2, EVIDENCE, CLINICIAN, blinded=False)],
    ]
    contexts: list[list[CaseEvent]] = [[], [af("yes")]]
    found = []
    for images, what in product(IMAGES.values(), SAID):
        case = told(opened(), *images)
        predicted = more(case, *said_about(case, what))
        for parts in product(contexts, opinions, told_labels):
            found.append(more(predicted, *(event for part in parts for event in part)))
    return found


@pytest.mark.parametrize("collecting_only", [False, True])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_card_fits_a_caption_and_its_buttons_work(
    language: str, collecting_only: bool
) -> None:
    """Also with an essay for a catalogue, and also while it asks something."""
    long = {key: longer(row) for key, row in CATALOGUE.items()}
    assert len(every_case(language)) == len(IMAGES) * len(SAID) * 8
    for case in every_case(language):
        card = case_card(case, CASE_ID, long, language, collecting_only)
        longest = "evidence-question"
        question = say(language, longest, cause=say(language, "cause-undetermined-incomplete"))
        asked = asking(card, question, evidence_keyboard(CASE_ID, "small-vessel", language))
        assert Visible(asked.text).units <= 1024, asked.text
        assert "K7-4F2Q" in card.text
        for action in actions(card):
            taps.parse(action)
        assert case.prediction is None or say(language, "research") in card.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_is_a_pure_function_of_the_case(language: str) -> None:
    for case in every_case(language)[::7]:
        first = case_card(case, CASE_ID, CATALOGUE, language, False)
        backwards = dict(reversed(CATALOGUE.items()))
        assert case_card(case, CASE_ID, backwards, language, False) == first
