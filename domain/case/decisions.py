"""Decisions: what follows from a request; [] means it is so already."""

from typing import Any
from uuid import UUID

from domain.case.events import (
    AnswerComposed,
    AnswerDelivered,
    CardPlaced,
    CaseEvent,
    ContextGiven,
    Erased,
    Fact,
    ImagesMoved,
    ImageSubmitted,
    Ingestion,
    Label,
    LabelConfirmed,
    LabelRevised,
    Linked,
    NearDuplicatesFound,
    Opened,
    Opinion,
    OpinionGiven,
    Prediction,
    PredictionDeclined,
    ShadowPredicted,
    Suggestion,
    ToldApart,
    Withdrawal,
    Withdrawn,
)
from domain.case.state import Case
from domain.errors import IsErased, NoSuchCase, NotYours, Refused
from domain.stroke import Cause, Evidence, label_level


def submit_image(case: Case, opening: Opened, image: ImageSubmitted) -> list[CaseEvent]:
    """The first image opens the case; the same image again changes nothing."""
    if image.item in case.images or image.item in case.moved_out:
        return []
    if case.opened is None:
        return [opening, image]
    must_belong_to(case, opening.by)
    return [image]


def record_ingestion(case: Case, outcome: Ingestion) -> list[CaseEvent]:
    """Ingest speaks once about an image, unless it failed itself; about one that has left the case
    it says nothing."""
    awaited = outcome.item in case.waiting or outcome.item in case.given_up
    if case.closed or not awaited or outcome == case.images[outcome.item].outcome:
        return []
    return [outcome]


def record_reingestion(case: Case, outcome: Ingestion) -> list[CaseEvent]:
    """A profile may speak of an image of which another one has spoken last; the same one may not."""
    image = case.images.get(outcome.item)
    if case.withdrawn or image is None or image.outcome is None:
        return []
    return [] if image.outcome.profile == outcome.profile else [outcome]


def move_out(case: Case, item: UUID, other: UUID, by: UUID) -> list[CaseEvent]:
    """An image that belongs to another patient leaves; the last image of a case cannot."""
    must_belong_to(case, by)
    if item not in case.images or len(case.images) < 2:
        return []
    return [ImagesMoved(items=(item,), direction="out", other=other, by=by)]


def move_in(opening: Opened, image: ImageSubmitted, other: UUID) -> list[CaseEvent]:
    """The new case begins with the image that left `other`; it is ingested anew, under its own key."""
    moved = ImagesMoved(items=(image.item,), direction="in", other=other, by=opening.by)
    return [opening, moved, image]


def give_context(case: Case, facts: tuple[Fact, ...], by: UUID) -> list[CaseEvent]:
    must_belong_to(case, by)
    if all(case.context.get(fact.code) == fact.value for fact in facts):
        return []
    return [ContextGiven(facts=facts, by=by)]


def give_opinion(case: Case, opinion: Opinion, by: UUID) -> list[CaseEvent]:
    must_belong_to(case, by)
    given = OpinionGiven(
        opinion=opinion, by=by, prediction=case.seen, before_reveal=case.answer is None
    )
    return [] if given == case.opinion else [given]


def needs_prediction(case: Case, model: UUID) -> bool:
    """All images ingested, at least one usable, and nothing said yet about exactly these inputs; that
    the analysis failed says nothing."""
    if not _is_ready(case):
        return False
    said = case.prediction
    if isinstance(said, PredictionDeclined) and said.reason == "failed":
        return True
    return said is None or said.model != model or not _of(case, said)


def record_prediction(case: Case, prediction: Prediction) -> list[CaseEvent]:
    if not needs_prediction(case, prediction.model):
        return []
    return [prediction] if _of(case, prediction) and prediction != case.prediction else []


def needs_shadow(case: Case, model: UUID) -> bool:
    """As `needs_prediction`, of what that shadow said last."""
    said = case.shadows.get(model)
    return _is_ready(case) and (said is None or not _of(case, said))


def record_shadow(case: Case, said: ShadowPredicted) -> list[CaseEvent]:
    return [said] if needs_shadow(case, said.model) and _of(case, said) else []


def _is_ready(case: Case) -> bool:
    said_all = case.opened is not None and not case.closed and not case.waiting
    return said_all and bool(case.usable)


def _of(case: Case, said: Prediction | ShadowPredicted) -> bool:
    """Whether it is about the case as it stands, in all that its model uses."""
    if (said.inputs, said.af) != (case.inputs, case.af):
        return False
    if isinstance(said, PredictionDeclined):
        return True
    told = all(case.context.get(code, "unknown") == answer for code, answer in said.context.items())
    return told and said.sequences in ((), case.sequences)


def compose_answer(case: Case, answer: AnswerComposed) -> list[CaseEvent]:
    """One answer per prediction; a prediction that was overtaken is not answered any more."""
    if case.closed or answer.prediction != case.prediction_id:
        return []
    return [] if case.answer and case.answer.prediction == answer.prediction else [answer]


def place_card(case: Case, placed: CardPlaced) -> list[CaseEvent]:
    known = case.card is not None and case.card.card == placed.card
    return [] if case.closed or known else [placed]


def deliver_answer(case: Case, delivered: AnswerDelivered) -> list[CaseEvent]:
    known = delivered.answer in case.delivered
    return [] if case.closed or known else [delivered]


def confirm_label(
    case: Case, cause: Cause, evidence: tuple[Evidence, ...], rater: UUID
) -> list[CaseEvent]:
    """The final cause; a later, different one revises it and the earlier stays in the history."""
    label = LabelConfirmed(
        cause=cause,
        level=label_level(evidence),
        evidence=evidence,
        rater=rater,
        blinded=case.answer is None,
    )
    return record_label(case, label, rater)


def record_label(case: Case, label: LabelConfirmed, by: UUID) -> list[CaseEvent]:
    """What a rater said, told by the person the case belongs to."""
    must_belong_to(case, by)
    if case.label is None or case.label_id is None:
        return [label]
    if _said(case.label) == _said(label):
        return []
    same_rater = case.label.rater == label.rater
    return [
        LabelRevised(
            supersedes=case.label_id,
            reason="changed-by-rater" if same_rater else "another-rater",
            blinded=label.blinded,
            **_said(label),
        )
    ]


def _said(label: Label) -> dict[str, Any]:
    """All that a rater says; being blinded is not of their saying."""
    said = ("cause", "level", "evidence", "rater", "stage", "confidence", "at")
    return {name: getattr(label, name) for name in said}


def link(case: Case, other: UUID, suggested: Suggestion, by: UUID | None) -> list[CaseEvent]:
    """The case's own half: the same is decided for `other`."""
    must_belong_to(case, by)
    return [] if other in case.linked else [Linked(other=other, suggested=suggested, by=by)]


def tell_apart(case: Case, other: UUID, by: UUID | None) -> list[CaseEvent]:
    """The case's own half: the same is decided for `other`. Raises Refused for linked cases: what was
    said to be one patient stays so."""
    must_belong_to(case, by)
    if other in case.linked:
        raise Refused("These cases were said to be of one patient.")
    return [] if other in case.apart else [ToldApart(other=other, by=by)]


def record_near_duplicates(case: Case, found: NearDuplicatesFound) -> list[CaseEvent]:
    """Of images that are still in the case."""
    gone = case.closed or found.item not in case.images
    return [] if gone or found in case.alike else [found]


def withdraw(case: Case, reason: Withdrawal, by: UUID | None) -> list[CaseEvent]:
    """Once; but a withdrawn case may still be erased, and a case whose erasure was asked for is
    withdrawn already."""
    if case.opened is None:
        raise NoSuchCase
    so_already = case.closed or (case.withdrawn is not None and reason != "erasure")
    return [] if so_already else [Withdrawn(reason=reason, by=by)]


def record_erasure(case: Case) -> list[CaseEvent]:
    """What was asked for is done. Raises Refused when it was not asked for."""
    if not case.closed or case.withdrawn_id is None:
        raise Refused("The erasure of this case was not asked for.")
    return [] if case.erased else [Erased(withdrawal=case.withdrawn_id)]


def must_belong_to(case: Case, person: UUID | None) -> None:
    """Nobody is the operator, to whom all cases do. Raises NoSuchCase, NotYours, IsErased."""
    if case.opened is None:
        raise NoSuchCase
    if person is not None and not case.belongs_to(person):
        raise NotYours
    if case.closed:
        raise IsErased
