"""The card of a case, in both languages and in every state it can be in."""

import re
from html import unescape
from html.parser import HTMLParser
from itertools import product
from uuid import UUID

import pytest
from msgspec.structs import replace

from commands.ports import Card
from domain import case as cases, examination
from domain.case import Case, CaseEvent, Opinion
from domain.examination import Examination, Text
from domain.stroke import CAUSES, EVIDENCE, Answer
from tests.made import (
    CASE_ID,
    CLINICIAN,
    NOON,
    af,
    an_id,
    declined,
    ingested,
    more,
    opened,
    placed,
    produced,
    quarantined,
    rejected,
    shipped,
    submitted,
    told,
)
from workers import taps
from workers.card import (
    CaseLine,
    access_card,
    all_examinations,
    asking,
    case_card,
    cases_card,
    cause_keyboard,
    consent_card,
    evidence_keyboard,
    stranger_card,
)
from workers.texts import LANGUAGES, NOTICE, say

CATALOGUE = shipped()
THREE = told(opened(), *(submitted(n) for n in range(3)), *(ingested(n) for n in range(3)))
ANSWERED = more(THREE, produced(THREE))


class Visible(HTMLParser):
    """What a messenger would show; refuses any markup but <b> and <i>."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.open = "", list[str]()
        self.feed(text)
        self.close()
        assert not self.open, "unclosed markup"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"b", "i"}
        assert not attrs
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def units(self) -> int:
        return len(self.text.encode("utf-16-le")) // 2


def english(case: Case, collecting_only: bool = False) -> Card:
    return case_card(case, CASE_ID, CATALOGUE, "en", collecting_only)


def lines(card: Card) -> list[str]:
    return Visible(card.text).text.split("\n")


def labels(card: Card) -> list[list[str]]:
    return [[button.label for button in row] for row in card.rows]


def actions(card: Card) -> list[str]:
    return [button.action for row in card.rows for button in row]


# What is received


def test_a_placeholder_counts_what_came_and_promises_an_answer() -> None:
    case = told(opened(), submitted(1), submitted(2), ingested(1))
    assert lines(english(case)) == [
        "K7-4F2Q",
        "Received: 2 images, de-identified: 1.",
        "Analysing, usually a few seconds…",
    ]


def test_a_bad_image_is_named_with_what_to_do_better() -> None:
    case = told(
        opened(),
        *(submitted(n) for n in range(4)),
        rejected(0, "too-blurred"),
        ingested(1),
        rejected(2, "too-blurred"),
        quarantined(3, "no-head"),
    )
    assert lines(english(case))[2:4] == [
        "Images 1, 3: the image is blurred; hold the phone still or take a screenshot.",
        "Image 4: no head MRI can be seen; fill the screen with the scan and take it again.",
    ]


def test_no_usable_image_is_no_dead_end() -> None:
    card = english(told(opened(), submitted(), rejected()))
    assert lines(card)[-1] == "None of these images can be used. Please send another one."
    assert card.rows == ()


def test_many_problems_are_told_shortly() -> None:
    reasons = cases.Reason.__args__  # type: ignore[attr-defined]
    items = range(len(reasons))
    case = told(
        opened(),
        *(submitted(n) for n in items),
        *(rejected(n, reasons[n]) for n in items),
    )
    assert lines(english(case))[-2] == f"… and {len(reasons) - 4} more images are not usable."


def test_collection_only_thanks_and_promises_nothing() -> None:
    card = english(THREE, collecting_only=True)
    assert lines(card)[1:] == [
        "Received: 3 images, de-identified: 3.",
        "Thank you, the case is saved. There is no automatic answer here yet.",
    ]
    waiting = english(told(opened(), submitted()), collecting_only=True)
    assert lines(waiting)[1:] == ["Received: 1 image, de-identified: 0."]


# The answer


def test_an_answer_says_how_likely_in_words_dots_and_cases() -> None:
    assert lines(english(ANSWERED)) == [
        "K7-4F2Q · model 3fa9c1d2 · 3 images",
        "Synthetic demo model, no clinical meaning.",
        "Likely: cardioembolic",
        "▮▮▮▮▮▮▮▯▯▯ in 7 of 10 similar cases (62–79 %)",
        "Large-artery: in 3 of 10",
        "Examinations to order:",
        "1. Continuous ECG monitoring ≥ 72 h (telemetry, Holter)",
        "2. Transthoracic echo (LA, EF, valves, thrombus)",
        "3. CTA (or MRA, duplex) of the arteries from arch to vertex",
        "Research tool. The clinician decides.",
    ]


def test_an_answer_reads_the_same_in_russian() -> None:
    card = case_card(ANSWERED, CASE_ID, CATALOGUE, "ru", False)
    assert lines(card)[:5] == [
        "K7-4F2Q · модель 3fa9c1d2 · 3 снимка",
        "Синтетическая демо-модель, клинического смысла нет.",
        "Вероятно: кардиоэмболический",
        "▮▮▮▮▮▮▮▯▯▯ в 7 из 10 похожих случаев (62–79 %)",
        "Атеротромботический: в 3 из 10",
    ]


@pytest.mark.parametrize(
    ("permille", "words"),
    [
        (550, "Slightly favours"),
        (649, "Slightly favours"),
        (650, "Likely"),
        (849, "Likely"),
        (850, "Very likely"),
        (1000, "Very likely"),
    ],
)
def test_the_scale_of_words_is_fixed(permille: int, words: str) -> None:
    case = more(THREE, produced(THREE, "large-artery", permille))
    assert lines(english(case))[2] == f"{words}: large-artery"


def test_nothing_is_ever_certain() -> None:
    frequency, second = lines(english(more(THREE, produced(THREE, permille=990))))[3:5]
    assert frequency.startswith("▮▮▮▮▮▮▮▮▮▯ in more than 9 of 10 similar cases")
    assert second == "Large-artery: in fewer than 1 of 10"


def test_both_frequencies_add_up_to_ten() -> None:
    for permille in range(500, 950):
        shown = lines(english(more(THREE, produced(THREE, permille=permille))))[3:5]
        assert sum(int(re.search(r"in (\d) of 10", line)[1]) for line in shown) == 10  # type: ignore[index]


@pytest.mark.parametrize("said", [produced(THREE), produced(THREE, abstains=True)])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_demo_model_always_says_that_it_is_one(
    language: str, said: cases.PredictionProduced
) -> None:
    demo = Visible(say(language, "demo")).text
    for context in ((), (af("yes"), submitted(9)), (submitted(9, "window"), rejected(9))):
        case = more(THREE, said, *context)
        assert demo in lines(case_card(case, CASE_ID, CATALOGUE, language, False))
        assert demo in lines(case_card(case, CASE_ID, CATALOGUE, language, True))
    champion = more(THREE, replace(said, role="champion"))
    assert demo not in lines(case_card(champion, CASE_ID, CATALOGUE, language, False))


@pytest.mark.parametrize(
    "said",
    [
        produced(THREE, abstains=True),
        declined(THREE, "not-applicable"),
        declined(THREE, "out-of-distribution"),
        declined(THREE, "failed"),
    ],
)
@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "This does not mean low risk."), ("ru", "Это не значит низкий риск.")],
)
def test_no_answer_does_not_mean_low_risk(
    language: str, words: str, said: cases.Prediction
) -> None:
    card = case_card(more(THREE, said), CASE_ID, CATALOGUE, language, False)
    assert words in Visible(card.text).text
    assert sum(line.startswith(tuple("12345")) for line in lines(card)) == 5
    assert labels(card)[0] == [say(language, "button-my-opinion"), say(language, "button-unsure")]


def test_abstaining_lists_the_work_up_for_both_causes() -> None:
    text = english(more(THREE, produced(THREE, abstains=True))).text
    for code in ("ce.telemetry", "ce.tte", "laa.duplex", "laa.intracranial", "base.vessels"):
        row = CATALOGUE[examination.examination_id(code)].text
        assert row is not None
        assert row.name.en in unescape(text)


def test_a_new_image_or_context_says_that_the_answer_is_being_updated() -> None:
    updating = "Updating the answer: received 4 images, de-identified 3."
    assert updating in lines(english(more(ANSWERED, submitted(3, "reply"))))
    asked = more(ANSWERED, af("yes"))
    assert "Updating the answer: received 3 images, de-identified 3." in lines(english(asked))
    assert not any("Updating" in line for line in lines(english(ANSWERED)))
    again = more(asked, produced(asked))
    assert not any("Updating" in line for line in lines(english(again)))
    assert not any("Updating" in line for line in lines(english(asked, collecting_only=True)))


def test_known_atrial_fibrillation_changes_the_advice() -> None:
    case = more(THREE, af("yes"))
    card = english(more(case, produced(case)))
    assert not any("Continuous ECG" in line for line in lines(card))


# What the clinician tells


def test_every_button_is_there_and_optional() -> None:
    assert labels(english(ANSWERED)) == [
        ["Agree", "Other", "Unsure"],
        ["AF known: yes", "no", "unknown"],
        ["All examinations", "Final cause"],
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
    assert any(
        line.endswith("clinically; working diagnosis")
        for line in lines(english(more(ANSWERED, unsure)))
    )


def test_an_image_that_only_its_time_put_here_can_leave() -> None:
    joined = more(ANSWERED, submitted(7, "window"))
    assert labels(english(joined))[-1] == ["This is another patient"]
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


def longer(row: Examination) -> Examination:
    """The row after somebody wrote an essay into it."""
    assert row.text is not None
    essay = Text(ru="<b>Ж & 𝕏</b> " * 60, en="<b>W & 𝕏</b> " * 60)
    return replace(row, text=replace(row.text, name=essay, why=essay))


def test_a_longer_catalogue_still_fits_and_says_what_is_missing() -> None:
    long = {key: longer(row) for key, row in CATALOGUE.items()}
    card = all_examinations(ANSWERED, CASE_ID, long, "en")
    assert Visible(card.text).units <= 4096
    assert re.search(r"… and \d+ more\.$", card.text)


# Everything at once


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
