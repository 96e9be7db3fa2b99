"""A case: given events, when decided, then events."""

from datetime import date
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace

from domain import case as cases
from domain.case import Case, CaseEvent, Fact
from domain.errors import IsErased, NoSuchCase, NotYours, Refused
from domain.stroke import CAUSES, EVIDENCE, INSTRUMENTAL, Cause, Evidence, label_level
from tests.made import (
    CLINICIAN,
    MODEL,
    af,
    an_id,
    composed,
    declined,
    delivered,
    ingested,
    more,
    opened,
    placed,
    produced,
    quarantined,
    rejected,
    submitted,
    told,
)

SOMEBODY_ELSE = an_id("somebody else")
READY = told(opened(), submitted(1), ingested(1))
PREDICTED = more(READY, produced(READY), since=3)
ANSWERED = more(PREDICTED, composed(an_id(3)), delivered(an_id(4)), since=4)


# Images


def test_the_first_image_opens_the_case() -> None:
    assert cases.submit_image(Case(), opened(), submitted()) == [opened(), submitted()]


def test_a_further_image_joins_the_open_case() -> None:
    case = told(opened(), submitted(1))
    assert cases.submit_image(case, opened(), submitted(2)) == [submitted(2)]


def test_the_same_image_again_changes_nothing() -> None:
    assert cases.submit_image(READY, opened(), submitted(1)) == []


def test_an_image_for_somebody_elses_case_is_refused() -> None:
    with pytest.raises(NotYours):
        cases.submit_image(READY, opened(by=SOMEBODY_ELSE), submitted(2))


@pytest.mark.parametrize("outcome", [ingested(), rejected(), quarantined()])
def test_ingest_speaks_once_about_an_image(outcome: cases.Ingestion) -> None:
    case = told(opened(), submitted())
    assert cases.record_ingestion(case, outcome) == [outcome]
    assert cases.record_ingestion(more(case, outcome), ingested()) == []
    assert cases.record_ingestion(more(case, outcome), outcome) == []


def test_an_image_on_which_ingest_itself_failed_may_be_ingested_after_all() -> None:
    failed = rejected(reason="failed")
    case = told(opened(), submitted(), failed)
    assert (case.waiting, case.given_up) == ((), (an_id(1),))
    assert cases.record_ingestion(case, failed) == []
    assert cases.record_ingestion(case, ingested()) == [ingested()]
    assert more(case, ingested()).given_up == ()


def test_ingest_says_nothing_about_an_image_the_case_does_not_have() -> None:
    assert cases.record_ingestion(READY, ingested(2)) == []
    assert more(READY, ingested(2)) == READY


def test_only_ingested_images_are_usable() -> None:
    case = told(
        opened(),
        *(submitted(item) for item in range(4)),
        ingested(2),
        rejected(0),
        quarantined(1),
    )
    assert [image.item for image in case.usable] == [an_id(2)]
    assert case.waiting == (an_id(3),)


def test_inputs_do_not_depend_on_the_order_of_images() -> None:
    one = told(opened(), submitted(1), submitted(2), ingested(1), ingested(2))
    other = told(opened(), submitted(2), submitted(1), ingested(2), ingested(1))
    assert one.inputs == other.inputs


# Another patient's image


def test_an_image_of_another_patient_leaves_and_opens_its_own_case() -> None:
    case = told(opened(), submitted(1), submitted(2, "window"), ingested(1), ingested(2))
    other = an_id("other")

    [moved] = cases.move_out(case, an_id(2), other, CLINICIAN)
    assert moved == cases.ImagesMoved((an_id(2),), "out", other, CLINICIAN)
    left = more(case, moved)
    assert list(left.images) == [an_id(1)]
    assert left.inputs == READY.inputs

    arrived = told(*cases.move_in(opened(), submitted(2, "split"), an_id("case")))
    assert arrived.waiting == (an_id(2),)
    assert arrived.belongs_to(CLINICIAN)


def test_an_image_that_left_neither_leaves_again_nor_comes_back() -> None:
    case = told(opened(), *(submitted(item) for item in range(3)))
    [moved] = cases.move_out(case, an_id(2), an_id("other"), CLINICIAN)
    left = more(case, moved)
    assert cases.move_out(left, an_id(2), an_id("other"), CLINICIAN) == []
    assert cases.submit_image(left, opened(), submitted(2)) == []
    assert cases.record_ingestion(left, ingested(2)) == []


def test_the_last_image_cannot_leave() -> None:
    assert cases.move_out(READY, an_id(1), an_id("other"), CLINICIAN) == []


# Context


def test_atrial_fibrillation_is_unknown_until_somebody_says_so() -> None:
    assert READY.af == "unknown"
    assert more(READY, af("yes")).af == "yes"
    assert more(READY, af("yes"), af("no")).af == "no"


def test_context_told_twice_is_told_once() -> None:
    facts = (Fact("af", "yes"),)
    [event] = cases.give_context(READY, facts, CLINICIAN)
    assert cases.give_context(more(READY, event), facts, CLINICIAN) == []


def test_saying_unknown_is_a_fact_too() -> None:
    assert cases.give_context(READY, (Fact("af", "unknown"),), CLINICIAN) == [af("unknown")]


# Prediction and answer


def test_a_prediction_that_failed_may_be_made_after_all() -> None:
    failed = declined(READY, "failed")
    case = more(READY, failed)
    assert cases.needs_prediction(case, MODEL)
    assert cases.record_prediction(case, failed) == []
    assert cases.record_prediction(case, produced(READY)) == [produced(READY)]


def test_a_prediction_waits_for_every_image() -> None:
    assert cases.needs_prediction(READY, MODEL)
    assert not cases.needs_prediction(more(READY, submitted(2)), MODEL)
    assert not cases.needs_prediction(told(opened(), submitted(), rejected()), MODEL)
    assert not cases.needs_prediction(Case(), MODEL)


@pytest.mark.parametrize("said", [produced(READY), declined(READY, "failed")])
def test_the_same_inputs_are_predicted_once(said: cases.Prediction) -> None:
    assert cases.record_prediction(READY, said) == [said]
    assert cases.record_prediction(more(READY, said), said) == []


def test_a_new_image_a_new_answer_about_af_or_a_new_model_needs_a_new_prediction() -> None:
    assert not cases.needs_prediction(PREDICTED, MODEL)
    assert cases.needs_prediction(more(PREDICTED, submitted(2), ingested(2)), MODEL)
    assert cases.needs_prediction(more(PREDICTED, af("yes")), MODEL)
    assert cases.needs_prediction(PREDICTED, an_id("newer model"))


def test_another_age_band_needs_a_new_prediction_only_of_a_model_that_uses_it() -> None:
    older = cases.ContextGiven(facts=(Fact("age_band", "75-84"),), by=CLINICIAN)
    uses = replace(produced(READY), context={"age_band": "unknown"})
    assert not cases.needs_prediction(more(PREDICTED, older), MODEL)
    assert not cases.needs_prediction(more(READY, uses), MODEL)
    assert cases.needs_prediction(more(READY, uses, older), MODEL)
    assert cases.record_prediction(more(READY, older), uses) == []
    again = replace(uses, context={"age_band": "75-84"})
    assert cases.record_prediction(more(READY, uses, older), again) == [again]


def test_a_head_recognised_anew_needs_a_new_prediction_only_of_a_model_that_uses_it() -> None:
    named = more(READY, replace(ingested(), sequences=("mri-dwi",)))
    plain = produced(named)
    uses = replace(plain, sequences=(("mri-dwi",),))
    anew = replace(ingested(), sequences=("mri-adc",))
    assert not cases.needs_prediction(more(named, plain, anew), MODEL)
    assert not cases.needs_prediction(more(named, uses), MODEL)
    assert cases.needs_prediction(more(named, uses, anew), MODEL)


def test_a_prediction_for_other_inputs_than_the_present_is_dropped() -> None:
    late = produced(READY)
    assert cases.record_prediction(more(READY, af("yes")), late) == []
    assert cases.record_prediction(more(READY, submitted(2), ingested(2)), late) == []


def test_a_prediction_is_answered_once() -> None:
    answer = composed(an_id(3))
    assert cases.compose_answer(PREDICTED, answer) == [answer]
    assert cases.compose_answer(more(PREDICTED, answer, since=4), answer) == []


def test_a_prediction_that_was_overtaken_is_not_answered_any_more() -> None:
    again = more(PREDICTED, af("yes"), since=4)
    again = more(again, produced(again), since=5)
    assert cases.compose_answer(again, composed(an_id(3))) == []
    assert cases.compose_answer(again, composed(an_id(5))) == [composed(an_id(5))]


def test_an_answer_is_delivered_once_and_a_card_placed_once() -> None:
    assert cases.deliver_answer(ANSWERED, delivered(an_id(4))) == []
    assert cases.deliver_answer(ANSWERED, delivered(an_id(9))) == [delivered(an_id(9))]
    assert cases.place_card(ANSWERED, placed()) == [placed()]
    assert cases.place_card(more(ANSWERED, placed()), placed()) == []
    assert cases.place_card(more(ANSWERED, placed()), placed("other")) == [placed("other")]


# Opinions and labels


def test_an_opinion_names_the_prediction_that_was_seen() -> None:
    [opinion] = cases.give_opinion(ANSWERED, "agree", CLINICIAN)
    assert opinion == cases.OpinionGiven("agree", CLINICIAN, an_id(3), before_reveal=False)


def test_an_opinion_before_the_answer_was_seen_says_so() -> None:
    [opinion] = cases.give_opinion(PREDICTED, "cardioembolic", CLINICIAN)
    assert opinion == cases.OpinionGiven("cardioembolic", CLINICIAN, None, before_reveal=True)


def test_an_opinion_is_about_the_answer_on_the_screen_not_about_one_still_on_its_way() -> None:
    again = more(ANSWERED, af("yes"), since=6)
    again = more(again, produced(again), composed(an_id(7)), since=7)
    [opinion] = cases.give_opinion(again, "agree", CLINICIAN)
    assert isinstance(opinion, cases.OpinionGiven)
    assert opinion.prediction == an_id(3)
    [opinion] = cases.give_opinion(more(again, delivered(an_id(8)), since=9), "agree", CLINICIAN)
    assert isinstance(opinion, cases.OpinionGiven)
    assert opinion.prediction == an_id(7)


def test_a_late_delivery_shows_the_answer_it_carried_not_the_newest_prediction() -> None:
    late = more(PREDICTED, composed(an_id(3)), af("yes"), since=4)
    late = more(late, produced(late), delivered(an_id(4)), since=6)
    assert late.prediction_id == an_id(6)
    assert late.seen == an_id(3)


def test_an_opinion_may_be_changed_but_not_repeated() -> None:
    [agree] = cases.give_opinion(ANSWERED, "agree", CLINICIAN)
    agreed = more(ANSWERED, agree)
    assert cases.give_opinion(agreed, "agree", CLINICIAN) == []
    assert len(cases.give_opinion(agreed, "unsure", CLINICIAN)) == 1


def test_agreeing_is_never_a_label() -> None:
    [agree] = cases.give_opinion(ANSWERED, "agree", CLINICIAN)
    assert more(ANSWERED, agree).label is None


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_only_an_instrument_lifts_a_label_to_level_two(evidence: Evidence) -> None:
    [label] = cases.confirm_label(ANSWERED, "cardioembolic", (evidence,), CLINICIAN)
    assert isinstance(label, cases.LabelConfirmed)
    assert label.level == (2 if evidence in INSTRUMENTAL else 1)
    assert label.level == label_level(label.evidence)


def test_a_label_is_blinded_until_an_answer_was_delivered() -> None:
    for case, blinded in ((READY, True), (PREDICTED, True), (ANSWERED, False)):
        [label] = cases.confirm_label(case, "small-vessel", ("clinical",), CLINICIAN)
        assert isinstance(label, cases.LabelConfirmed)
        assert label.blinded is blinded


def test_a_label_is_confirmed_once_and_a_different_one_revises_it() -> None:
    first = cases.confirm_label(ANSWERED, "cardioembolic", ("ecg",), CLINICIAN)
    labelled = more(ANSWERED, *first, since=6)
    assert cases.confirm_label(labelled, "cardioembolic", ("ecg",), CLINICIAN) == []
    [revised] = cases.confirm_label(labelled, "large-artery", ("stenosis",), CLINICIAN)
    assert isinstance(revised, cases.LabelRevised)
    assert revised.supersedes == an_id(6)


def test_a_case_that_is_not_yours_cannot_be_touched() -> None:
    for decide in (
        lambda: cases.give_context(READY, (Fact("af", "yes"),), SOMEBODY_ELSE),
        lambda: cases.give_opinion(READY, "agree", SOMEBODY_ELSE),
        lambda: cases.confirm_label(READY, "small-vessel", (), SOMEBODY_ELSE),
        lambda: cases.move_out(READY, an_id(1), an_id("other"), SOMEBODY_ELSE),
    ):
        with pytest.raises(NotYours):
            decide()


def test_a_case_that_does_not_exist_cannot_be_touched() -> None:
    with pytest.raises(NoSuchCase):
        cases.give_opinion(Case(), "agree", CLINICIAN)


# Whatever happens, in whatever order


ITEMS = st.integers(0, 3)
CHANGES = st.one_of(
    st.tuples(st.just("submit"), ITEMS),
    st.tuples(st.just("ingest"), ITEMS),
    st.tuples(st.just("reject"), ITEMS),
    st.tuples(st.just("move"), ITEMS),
    st.tuples(st.just("af"), st.sampled_from(["yes", "no", "unknown"])),
    st.tuples(st.just("predict"), st.integers(500, 1000)),
    st.tuples(st.just("compose"), st.none()),
    st.tuples(st.just("deliver"), st.none()),
    st.tuples(st.just("place"), ITEMS),
    st.tuples(st.just("opine"), st.sampled_from(["agree", "unsure", *CAUSES])),
    st.tuples(st.just("label"), st.tuples(st.sampled_from(CAUSES), st.sampled_from(EVIDENCE))),
)


def decided(case: Case, change: str, value: object) -> list[CaseEvent]:
    """The events of one request to an open case."""
    match change, value:
        case "submit", item:
            return cases.submit_image(case, opened(), submitted(item))
        case "ingest", item:
            return cases.record_ingestion(case, ingested(item))
        case "reject", item:
            return cases.record_ingestion(case, rejected(item))
        case "move", item:
            return cases.move_out(case, an_id(item), an_id("other"), CLINICIAN)
        case "af", str(answer):
            return cases.give_context(case, (Fact("af", answer),), CLINICIAN)
        case "predict", int(permille):
            return cases.record_prediction(case, produced(case, permille=permille))
        case "compose", _:
            return cases.compose_answer(case, composed(case.prediction_id or an_id("none")))
        case "deliver", _:
            return cases.deliver_answer(case, delivered(case.answer_id or an_id("none")))
        case "place", card:
            return cases.place_card(case, placed(card))
        case "opine", opinion:
            return cases.give_opinion(case, opinion, CLINICIAN)  # type: ignore[arg-type]
        case "label", (cause, evidence):
            return cases.confirm_label(case, cause, (evidence,), CLINICIAN)
    raise AssertionError(change)


def histories(changes: list[tuple[str, object]]) -> list[tuple[Case, list[CaseEvent]]]:
    """The case after every request, and the events that led there."""
    case, events = more(Case(), opened(), submitted(0)), [opened(), submitted(0)]
    steps: list[tuple[Case, list[CaseEvent]]] = [(case, [*events])]
    for change, value in changes:
        new = decided(case, change, value)
        case = more(case, *new, since=len(events))
        events = [*events, *new]
        steps.append((case, events))
    return steps


@given(st.lists(CHANGES, max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_request_twice_in_a_row_changes_nothing(changes: list[tuple[str, object]]) -> None:
    steps = histories(changes)
    for (change, value), (case, _) in zip(changes, steps[1:], strict=True):
        assert decided(case, change, value) == []


@given(st.lists(CHANGES, max_size=20))
@settings(max_examples=100, deadline=None)
def test_what_arrives_again_much_later_changes_nothing(changes: list[tuple[str, object]]) -> None:
    """Images, outcomes, answers and deliveries come from queues, which may repeat themselves."""
    case, events = histories(changes)[-1]
    for event in events:
        match event:
            case cases.ImageSubmitted():
                assert cases.submit_image(case, opened(), event) == []
            case cases.ImageIngested() | cases.ImageRejected():
                assert cases.record_ingestion(case, event) == []
            case cases.AnswerComposed():
                assert cases.compose_answer(case, event) == []
            case cases.AnswerDelivered():
                assert cases.deliver_answer(case, event) == []


@given(st.lists(CHANGES, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_past_never_changes(changes: list[tuple[str, object]]) -> None:
    """The state after n events is the same however the story goes on."""
    steps = histories(changes)
    for (case, events), (_, later) in pairwise(steps):
        assert later[: len(events)] == events
        assert told(*later[: len(events)]) == case


@given(st.lists(CHANGES, max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_image_is_lost(changes: list[tuple[str, object]]) -> None:
    case, events = histories(changes)[-1]
    sent = {event.item for event in events if isinstance(event, cases.ImageSubmitted)}
    assert {*case.images, *case.moved_out} == sent
    assert not {*case.images} & {*case.moved_out}
    assert len(case.images) >= 1


def test_what_a_rater_said_on_another_day_or_another_rater_said_revises_the_label() -> None:
    said = cases.LabelConfirmed(
        cause="cardioembolic",
        level=3,
        evidence=("ecg",),
        rater=an_id("rater"),
        blinded=True,
        stage="discharge",
        at=date(2025, 3, 9),
    )
    labelled = more(READY, *cases.record_label(READY, said, CLINICIAN), since=6)
    assert cases.record_label(labelled, said, CLINICIAN) == []

    [later] = cases.record_label(labelled, replace(said, at=date(2025, 6, 9)), CLINICIAN)
    [other] = cases.record_label(labelled, replace(said, rater=an_id("other")), CLINICIAN)

    assert isinstance(later, cases.LabelRevised)
    assert isinstance(other, cases.LabelRevised)
    assert (later.reason, later.at) == ("changed-by-rater", date(2025, 6, 9))
    assert (other.reason, other.supersedes) == ("another-rater", labelled.label_id)
    with pytest.raises(NotYours):
        cases.record_label(READY, said, said.rater)


def test_a_label_event_carries_its_own_grounds() -> None:
    cause: Cause = "large-artery"
    rater: UUID = CLINICIAN
    [label] = cases.confirm_label(ANSWERED, cause, ("stenosis", "clinical"), rater)
    assert label == cases.LabelConfirmed(
        cause=cause, level=2, evidence=("stenosis", "clinical"), rater=rater, blinded=False
    )


# The same patient, withdrawal, erasure


OTHER = an_id("other case")
LINKED = cases.Linked(other=OTHER, suggested="clinician", by=CLINICIAN)
ASKED = cases.Withdrawn(reason="erasure")
CLOSED = more(ANSWERED, ASKED, since=6)


def test_a_case_is_linked_to_another_once() -> None:
    assert cases.link(READY, OTHER, "clinician", CLINICIAN) == [LINKED]
    assert cases.link(more(READY, LINKED), OTHER, "near-duplicate", CLINICIAN) == []
    assert cases.link(more(READY, LINKED), an_id("third"), "clinician", None) != []


def test_only_the_owner_or_the_operator_links_a_case() -> None:
    with pytest.raises(NotYours):
        cases.link(READY, OTHER, "clinician", SOMEBODY_ELSE)
    assert cases.link(READY, OTHER, "near-duplicate", None) != []


def test_a_case_is_told_apart_from_another_once_and_never_from_one_it_is_linked_to() -> None:
    apart = cases.ToldApart(other=OTHER, by=CLINICIAN)
    assert cases.tell_apart(READY, OTHER, CLINICIAN) == [apart]
    assert cases.tell_apart(more(READY, apart), OTHER, None) == []
    assert cases.link(more(READY, apart), OTHER, "clinician", CLINICIAN) == [LINKED]
    with pytest.raises(Refused):
        cases.tell_apart(more(READY, LINKED), OTHER, CLINICIAN)


def test_near_duplicates_are_recorded_once_of_images_that_are_still_here() -> None:
    item = next(iter(READY.images))
    alike = (cases.Alike(case=OTHER, item=an_id(7), bits=3),)
    found = cases.NearDuplicatesFound(item=item, alike=alike)
    assert cases.record_near_duplicates(READY, found) == [found]
    assert cases.record_near_duplicates(more(READY, found), found) == []
    assert cases.record_near_duplicates(CLOSED, found) == []
    gone = cases.NearDuplicatesFound(item=an_id("gone"), alike=alike)
    assert cases.record_near_duplicates(READY, gone) == []
    assert more(READY, found).suspects(an_id("own")) == (OTHER,)


@pytest.mark.parametrize("by", [CLINICIAN, None])
def test_a_case_that_is_not_there_can_be_neither_linked_nor_withdrawn(by: UUID | None) -> None:
    with pytest.raises(NoSuchCase):
        cases.link(Case(), OTHER, "clinician", by)
    with pytest.raises(NoSuchCase):
        cases.withdraw(Case(), "consent", by)


def test_a_case_is_withdrawn_once_and_may_still_be_erased() -> None:
    [withdrawn] = cases.withdraw(READY, "consent", CLINICIAN)
    after = more(READY, withdrawn)
    assert cases.withdraw(after, "wrong-patient", CLINICIAN) == []
    assert cases.withdraw(after, "erasure", None) == [ASKED]
    assert cases.withdraw(CLOSED, "erasure", None) == []
    assert cases.withdraw(CLOSED, "consent", None) == []


def test_a_withdrawn_case_is_answered_like_any_other() -> None:
    withdrawn = more(READY, cases.Withdrawn(reason="consent"))
    assert cases.needs_prediction(withdrawn, MODEL)
    assert cases.submit_image(withdrawn, opened(), submitted(2)) == [submitted(2)]


def test_erasure_is_recorded_once_and_only_when_it_was_asked_for() -> None:
    with pytest.raises(Refused):
        cases.record_erasure(more(READY, cases.Withdrawn(reason="consent")))
    [erased] = cases.record_erasure(CLOSED)
    assert erased == cases.Erased(withdrawal=an_id(6))
    assert cases.record_erasure(more(CLOSED, erased, since=7)) == []


def test_nothing_enters_a_case_whose_erasure_was_asked_for() -> None:
    waiting = more(CLOSED, submitted(2), since=7)
    assert cases.record_ingestion(waiting, ingested(2)) == []
    assert not cases.needs_prediction(more(READY, ASKED), MODEL)
    assert cases.compose_answer(more(PREDICTED, ASKED, since=4), composed(an_id(3))) == []
    assert cases.place_card(CLOSED, placed()) == []
    assert cases.deliver_answer(CLOSED, delivered(an_id("answer"))) == []


def test_people_are_told_that_the_case_was_erased() -> None:
    with pytest.raises(IsErased):
        cases.submit_image(CLOSED, opened(), submitted(2))
    with pytest.raises(IsErased):
        cases.give_opinion(CLOSED, "agree", CLINICIAN)
    with pytest.raises(IsErased):
        cases.link(CLOSED, OTHER, "clinician", CLINICIAN)
