"""A case as it stands: the fold of its events."""

from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.case.events import (
    AnswerComposed,
    AnswerDelivered,
    CardPlaced,
    CaseEvent,
    ContextGiven,
    Erased,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImagesMoved,
    ImageSubmitted,
    Ingestion,
    Label,
    LabelConfirmed,
    LabelRevised,
    Linked,
    NearDuplicatesFound,
    Opened,
    OpinionGiven,
    Prediction,
    PredictionDeclined,
    PredictionProduced,
    ShadowPredicted,
    ToldApart,
    Withdrawn,
)
from domain.stroke import Answer, Modality


class Image(Struct, frozen=True):
    """One item; `outcome` is None until ingest has spoken."""

    submitted: ImageSubmitted
    outcome: Ingestion | None = None


class Case(Struct, frozen=True):
    """The fold of a case's events. Ids beside an event name the event itself; `seen` is the
    prediction that the last delivered answer showed; `shadows` are the last words by model."""

    opened: Opened | None = None
    images: dict[UUID, Image] = {}
    moved_out: tuple[UUID, ...] = ()
    context: dict[str, str] = {}
    prediction: Prediction | None = None
    prediction_id: UUID | None = None
    shadows: dict[UUID, ShadowPredicted] = {}
    answer: AnswerComposed | None = None
    answer_id: UUID | None = None
    delivered: tuple[UUID, ...] = ()
    seen: UUID | None = None
    card: CardPlaced | None = None
    card_id: UUID | None = None
    opinion: OpinionGiven | None = None
    label: Label | None = None
    label_id: UUID | None = None
    linked: tuple[UUID, ...] = ()
    alike: tuple[NearDuplicatesFound, ...] = ()
    apart: tuple[UUID, ...] = ()
    withdrawn: Withdrawn | None = None
    withdrawn_id: UUID | None = None
    erased: bool = False

    @property
    def closed(self) -> bool:
        """Its erasure was asked for: nothing more may enter."""
        return self.withdrawn is not None and self.withdrawn.reason == "erasure"

    @property
    def waiting(self) -> tuple[UUID, ...]:
        """Items that ingest has not spoken about."""
        return tuple(item for item, image in self.images.items() if image.outcome is None)

    @property
    def given_up(self) -> tuple[UUID, ...]:
        """Items on which ingest failed through no fault of theirs: it may do them after all."""
        outcomes = ((item, image.outcome) for item, image in self.images.items())
        return tuple(
            item
            for item, outcome in outcomes
            if isinstance(outcome, ImageRejected) and outcome.reason == "failed"
        )

    @property
    def usable(self) -> tuple[ImageIngested, ...]:
        """De-identified images, in the order they were submitted."""
        outcomes = (image.outcome for image in self.images.values())
        return tuple(outcome for outcome in outcomes if isinstance(outcome, ImageIngested))

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(sorted(image.derivative for image in self.usable))

    @property
    def sequences(self) -> tuple[tuple[Modality, ...], ...]:
        """What the heads of each of `inputs` were recognised as."""
        return tuple(
            image.sequences for image in sorted(self.usable, key=lambda one: one.derivative)
        )

    @property
    def af(self) -> Answer:
        """Is atrial fibrillation known? Unknown until somebody says so."""
        match self.context.get("af"):
            case "yes":
                return "yes"
            case "no":
                return "no"
        return "unknown"

    def suspects(self, own: UUID) -> tuple[UUID, ...]:
        """Other cases with an earlier image like one of this case's, of which nobody has said yet
        whether they are of the same patient; the oldest finding first. `own` is this case's id."""
        others = {one.case: None for found in self.alike for one in found.alike}
        decided = {own, *self.linked, *self.apart}
        return tuple(other for other in others if other not in decided)

    def belongs_to(self, person: UUID) -> bool:
        return self.opened is not None and self.opened.by == person


def evolve(case: Case, event: CaseEvent, event_id: UUID) -> Case:
    match event:
        case Opened():
            return replace(case, opened=event)
        case ImageSubmitted():
            return replace(case, images={**case.images, event.item: Image(event)})
        case ImageIngested() | ImageRejected() | ImageQuarantined():
            return _with_outcome(case, event)
        case ImagesMoved(direction="out"):
            return _with_images_out(case, event)
        case ImagesMoved():
            return replace(case, apart=(*case.apart, event.other))
        case ContextGiven():
            given = {fact.code: fact.value for fact in event.facts}
            return replace(case, context={**case.context, **given})
        case OpinionGiven():
            return replace(case, opinion=event)
        case PredictionProduced() | PredictionDeclined():
            return replace(case, prediction=event, prediction_id=event_id)
        case ShadowPredicted():
            return replace(case, shadows={**case.shadows, event.model: event})
        case AnswerComposed():
            return replace(case, answer=event, answer_id=event_id)
        case CardPlaced():
            return replace(case, card=event, card_id=event_id)
        case AnswerDelivered():
            return _with_delivery(case, event)
        case LabelConfirmed() | LabelRevised():
            return replace(case, label=event, label_id=event_id)
        case Linked():
            return replace(case, linked=(*case.linked, event.other))
        case NearDuplicatesFound():
            return replace(case, alike=(*case.alike, event))
        case ToldApart():
            return replace(case, apart=(*case.apart, event.other))
        case Withdrawn():
            return replace(case, withdrawn=event, withdrawn_id=event_id)
        case Erased():
            return replace(case, erased=True)
        case _:
            assert_never(event)


def _with_images_out(case: Case, event: ImagesMoved) -> Case:
    """What was said of an image leaves with it; that another patient's images were here stays."""
    return replace(
        case,
        images={item: image for item, image in case.images.items() if item not in event.items},
        moved_out=case.moved_out + event.items,
        alike=tuple(found for found in case.alike if found.item not in event.items),
        apart=(*case.apart, event.other),
    )


def _with_outcome(case: Case, event: Ingestion) -> Case:
    image = case.images.get(event.item)
    if image is None:
        return case
    return replace(case, images={**case.images, event.item: replace(image, outcome=event)})


def _with_delivery(case: Case, event: AnswerDelivered) -> Case:
    shown = case.answer.prediction if case.answer and event.answer == case.answer_id else case.seen
    return replace(case, delivered=(*case.delivered, event.answer), seen=shown)
