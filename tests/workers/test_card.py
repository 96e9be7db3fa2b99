"""What a case's card tells, state by state."""

import re
from html import unescape

import pytest
from msgspec.structs import replace

from domain import case as cases, examination
from tests.made import (
    CASE_ID,
    af,
    declined,
    ingested,
    more,
    opened,
    produced,
    quarantined,
    rejected,
    submitted,
    told,
)
from tests.shown import ANSWERED, CATALOGUE, THREE, Visible, english, labels, lines
from workers.card import case_card
from workers.texts import LANGUAGES, say

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


def test_an_image_added_in_vain_is_told_beside_the_answer() -> None:
    card = english(more(ANSWERED, submitted(7, "reply"), rejected(7, "truncated")))
    assert "Image 4: the file broke off on the way; send it again." in lines(card)
    assert "Likely: cardioembolic" in lines(card)


def test_known_atrial_fibrillation_changes_the_advice() -> None:
    case = more(THREE, af("yes"))
    card = english(more(case, produced(case)))
    assert not any("Continuous ECG" in line for line in lines(card))
