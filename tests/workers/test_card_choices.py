"""The buttons of cards, and the messages they lead to."""

import re
from uuid import UUID

import pytest

from commands.ports import Card
from domain import case as cases
from domain.case import Opinion
from domain.identity import case_code
from domain.stroke import CAUSES, EVIDENCE, Answer
from tests.made import CASE_ID, CLINICIAN, NOON, af, an_id, more, opened, produced, submitted, told
from tests.shown import ANSWERED, CATALOGUE, THREE, Visible, actions, english, labels, lines, longer
from workers import taps
from workers.card import (
    CaseLine,
    access_card,
    all_examinations,
    cases_card,
    cause_keyboard,
    confirm_keyboard,
    consent_card,
    evidence_keyboard,
    same_patient_keyboard,
    stranger_card,
)
from workers.texts import LANGUAGES, NOTICE, say

# What the clinician tells


def test_every_button_is_there_and_optional() -> None:
    assert labels(english(ANSWERED)) == [
        ["Agree", "Other", "Unsure"],
        ["AF known: yes", "no", "unknown"],
        ["All examinations", "Final cause"],
        ["Same patient as…"],
    ]


@pytest.mark.parametrize("answer", ["yes", "no", "unknown"])
def test_the_answer_about_af_is_ticked(answer: Answer) -> None:
    row = labels(english(more(ANSWERED, af(answer))))[1]
    assert [label.startswith("✓ ") for label in row] == [
        answer == each for each in ("yes", "no", "unknown")
    ]


@pytest.mark.parametrize(
    ("opinion", "ticked", "words"),
    [
        ("agree", "✓ Agree", "you agree"),
        ("small-vessel", "✓ Other", "small-vessel (lacunar)"),
        ("unsure", "✓ Unsure", "you are not sure"),
    ],
)
def test_the_opinion_is_shown_and_ticked(opinion: Opinion, ticked: str, words: str) -> None:
    given = cases.OpinionGiven(opinion, CLINICIAN, None, before_reveal=False)
    card = english(more(ANSWERED, given))
    assert [label for label in labels(card)[0] if label.startswith("✓")] == [ticked]
    assert f"Your opinion: {words}" in lines(card)


def test_the_final_cause_shows_how_well_it_is_confirmed() -> None:
    [sure] = cases.confirm_label(ANSWERED, "large-artery", ("stenosis",), CLINICIAN)
    [unsure] = cases.confirm_label(ANSWERED, "undetermined-negative", ("clinical",), CLINICIAN)
    assert "Final cause: large-artery, stenosis ≥ 50 %; instrument-confirmed" in lines(
        english(more(ANSWERED, sure))
    )
    thought = cases.OpinionGiven("unsure", CLINICIAN, None, before_reveal=False)
    shown = lines(english(more(ANSWERED, thought, unsure)))
    assert any(line.endswith("clinically; working diagnosis") for line in shown)
    assert not any(line.startswith("Your opinion") for line in shown)


def test_an_image_that_only_its_time_put_here_can_leave() -> None:
    joined = more(ANSWERED, submitted(7, "window"))
    assert labels(english(joined))[-1] == ["Same patient as…", "This is another patient"]
    assert taps.parse(actions(english(joined))[-1]) == taps.Split(CASE_ID, an_id(7).hex[:8])
    for stays in (
        told(opened(), submitted(1, "window")),
        more(ANSWERED, submitted(7, "reply")),
        more(joined, submitted(8, "reply")),
    ):
        assert not any(
            "another patient" in label for row in labels(english(stays)) for label in row
        )


def test_choices_lead_through_cause_and_evidence_and_back() -> None:
    opinion = [taps.parse(row[0].action) for row in cause_keyboard(CASE_ID, "en", "opinion")]
    final = [taps.parse(row[0].action) for row in cause_keyboard(CASE_ID, "en", "final")]
    back = taps.BackToCard(CASE_ID)
    assert opinion == [*(taps.GiveOpinion(CASE_ID, cause) for cause in CAUSES), back]
    assert final == [*(taps.ChooseEvidence(CASE_ID, cause) for cause in CAUSES), back]
    confirmed = [
        taps.parse(row[0].action) for row in evidence_keyboard(CASE_ID, "cardioembolic", "en")
    ]
    expected = (taps.ConfirmLabel(CASE_ID, "cardioembolic", found) for found in EVIDENCE)
    assert confirmed == [*expected, back]


def test_a_link_to_another_case_is_asked_twice_and_can_be_left_each_time() -> None:
    other = CaseLine("A1-BCDE", an_id("a"), "answered", "cardioembolic", NOON, alike=True)
    digits = an_id("a").hex[: taps.CASE_DIGITS]
    chosen = same_patient_keyboard(CASE_ID, [other], "en", page=1, more=True)
    assert chosen[0][0].label == "≈ A1-BCDE · 02.03 · answered · cardioembolic"
    confirmed = confirm_keyboard(CASE_ID, an_id("a"), "en")
    assert [[taps.parse(button.action) for button in row] for row in chosen] == [
        [taps.ConfirmSamePatient(CASE_ID, digits)],
        [taps.ChooseSamePatient(CASE_ID, 0), taps.ChooseSamePatient(CASE_ID, 2)],
        [taps.BackToCard(CASE_ID)],
    ]
    assert [taps.parse(button.action) for (button,) in confirmed] == [
        taps.LinkSamePatient(CASE_ID, digits),
        taps.BackToCard(CASE_ID),
    ]


def test_other_cases_of_the_patient_are_named_on_the_card() -> None:
    links = [cases.Linked(an_id(n), "clinician", CLINICIAN) for n in range(6)]
    codes = [case_code(link.other) for link in links]
    assert f"Same patient: {codes[0]}" in lines(english(more(ANSWERED, links[0])))
    assert f"Same patient: {', '.join(codes[:5])}…" in lines(english(more(ANSWERED, *links)))


# All examinations


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("said", [None, produced(THREE), produced(THREE, abstains=True)])
def test_all_examinations_fit_one_message_with_why_when_and_source(
    language: str, said: cases.Prediction | None
) -> None:
    case = more(THREE, *([said] if said else []))
    card = all_examinations(case, CASE_ID, CATALOGUE, language)
    shown = Visible(card.text)
    assert shown.units <= 4096
    for row in CATALOGUE.values():
        assert row.text is not None
        texts = [row.text.name, row.text.why]
        if row.text.when.condition is not None:
            texts.append(row.text.when.condition)
        for text in texts:
            assert (text.ru if language == "ru" else text.en) in shown.text
        if row.text.verified:
            assert row.text.source in shown.text
    unverified = sum(not row.text.verified for row in CATALOGUE.values() if row.text)
    to_be_verified = Visible(say(language, "examination-unverified")).text
    assert shown.text.count(to_be_verified) == unverified > 0
    assert [taps.parse(action) for action in actions(card)] == [taps.BackToCard(CASE_ID)]


def test_a_longer_catalogue_still_fits_and_says_what_is_missing() -> None:
    long = {key: longer(row) for key, row in CATALOGUE.items()}
    card = all_examinations(ANSWERED, CASE_ID, long, "en")
    assert Visible(card.text).units <= 4096
    assert re.search(r"… and \d+ more\.$", card.text)


# My cases, and coming in


def test_my_cases_are_one_button_each() -> None:
    rows = [
        CaseLine("K7-4F2Q", CASE_ID, "answered", "cardioembolic", NOON),
        CaseLine("A1-BCDE", an_id("a"), "abstained", "cardioembolic", NOON),
        CaseLine("B2-CDEF", an_id("b"), "receiving", None, NOON),
    ]
    card = cases_card(rows, "en", page=1, more=True)
    assert labels(card) == [
        ["K7-4F2Q · 02.03 · answered · cardioembolic"],
        ["A1-BCDE · 02.03 · model abstained"],
        ["B2-CDEF · 02.03 · in progress"],
        ["‹ Later", "Earlier ›"],
    ]
    assert [taps.parse(action) for action in actions(card)] == [
        taps.OpenCase(CASE_ID),
        taps.OpenCase(an_id("a")),
        taps.OpenCase(an_id("b")),
        taps.ListCases(0),
        taps.ListCases(2),
    ]


def test_no_cases_say_how_to_open_one() -> None:
    card = cases_card([], "en")
    assert card == Card(text="You have no cases yet. Send an MRI image to open one.")


def test_a_stranger_may_ask_an_admin_approve_and_everybody_agree_with_one_tap() -> None:
    person: UUID = an_id("stranger")
    for card, tap in (
        (stranger_card("en"), taps.AskAccess()),
        (access_card(person, "Demo Clinician 1", "en"), taps.Approve(person)),
        (consent_card("en"), taps.Consent(NOTICE)),
    ):
        assert [taps.parse(action) for action in actions(card)] == [tap]
        assert Visible(card.text).units <= 1024


def test_a_strangers_name_cannot_become_markup() -> None:
    card = access_card(an_id("stranger"), "<a href='x'>Demo</a> & Co", "en")
    assert Visible(card.text).text == "<a href='x'>Demo</a> & Co asks for access."
