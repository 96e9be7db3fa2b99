"""A case: the images of one stroke, what was predicted, answered and, in the end, confirmed."""

from typing import Literal, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.errors import NoSuchCase, NotYours
from domain.happened import Happened
from domain.identity import Instant
from domain.sealed import Sealed
from domain.stroke import (
    Answer,
    Cause,
    Confidence,
    Evidence,
    Modality,
    Stage,
    label_level,
)

NAME = "case"

Origin = Literal["bot", "import", "demo"]
Channel = Literal["photo", "document"]
Joined = Literal["first", "album", "window", "reply", "split"]
Source = Literal["screenshot", "screen-photo", "unknown"]
Opinion = Literal["agree", "unsure"] | Cause
Reason = Literal[
    "empty",
    "not-an-image",
    "unsupported-type",
    "too-large",
    "too-many-pixels",
    "too-small",
    "animated",
    "truncated",
    "damaged",
    "no-head",
    "head-too-small",
    "too-blurred",
    "decoder-failed",
    "time-limit",
    "source-gone",
    "failed",
]


# Events


class Opened(Happened, frozen=True, tag="case.opened.v1"):
    """`patient` is random unless cases are linked: no identity is stored. `by` is a person."""

    code: str
    site: str
    patient: UUID
    origin: Origin
    by: UUID


class ImageSubmitted(Happened, frozen=True, tag="case.image-submitted.v1"):
    """An image arrived. `file` is its sealed address (`telegram:<file id>`), `sent` when it was sent."""

    item: UUID
    channel: Channel
    modality: Modality
    joined: Joined
    sent: Instant
    file: Sealed
    caption: Sealed | None = None


class ImageIngested(Happened, frozen=True, tag="case.image-ingested.v1"):
    """De-identified. Hashes are SHA-256 in hex: `derivative` of its file bytes, `pixels` of its raster,
    `original` (sealed) of the bytes as sent. Measures are integers; boxes are (x, y, width, height)."""

    item: UUID
    modality: Modality
    derivative: str
    pixels: str
    original: Sealed
    width: int
    height: int
    source: Source
    profile: str
    phash: str
    heads: tuple[tuple[int, int, int, int], ...]
    masked_permille: int
    quality: dict[str, int]
    warnings: tuple[str, ...] = ()


class ImageRejected(Happened, frozen=True, tag="case.image-rejected.v1"):
    """Unusable, for the named reason; nothing of it is kept."""

    item: UUID
    reason: Reason
    profile: str


class ImageQuarantined(Happened, frozen=True, tag="case.image-quarantined.v1"):
    """Decoded, but its anatomy could not be isolated: the original is kept restricted, nothing is shown."""

    item: UUID
    reason: Reason
    profile: str
    original: Sealed


class ImagesMoved(Happened, frozen=True, tag="case.images-moved.v1"):
    """Another patient's images leave to, or come from, `other`; both cases say so in one batch."""

    items: tuple[UUID, ...]
    direction: Literal["out", "in"]
    other: UUID
    by: UUID


class Fact(Struct, frozen=True, gc=False):
    """One answered question, such as (`af`, `yes`)."""

    code: str
    value: str
    unit: str = ""


class ContextGiven(Happened, frozen=True, tag="case.context-given.v1"):
    facts: tuple[Fact, ...]
    by: UUID


class OpinionGiven(Happened, frozen=True, tag="case.opinion-given.v1"):
    """What a clinician thinks, level 0: never a label. `prediction` is the event it answers."""

    opinion: Opinion
    by: UUID
    prediction: UUID | None
    before_reveal: bool


class PredictionProduced(Happened, frozen=True, tag="case.prediction-produced.v1"):
    """`ranked` in permille, most likely first; `chosen` has one cause, or all of them when the model
    abstains. `interval` (permille) is the 95 % interval of the first. `attention` (permille) is per
    input. `inputs` are derivatives' SHA-256 in the order the model took them."""

    task: str
    inputs: tuple[str, ...]
    af: Answer
    ranked: tuple[tuple[Cause, int], ...]
    chosen: tuple[Cause, ...]
    interval: tuple[int, int]
    attention: tuple[int, ...]
    model: UUID
    model_sha256: str
    role: str
    runtime: str


class PredictionDeclined(Happened, frozen=True, tag="case.prediction-declined.v1"):
    task: str
    inputs: tuple[str, ...]
    af: Answer
    reason: Literal["not-applicable", "out-of-distribution", "failed"]
    model: UUID


class AnswerComposed(Happened, frozen=True, tag="case.answer-composed.v1"):
    """`advice` lists (examination, revision) in the order shown; any text comes back from them."""

    prediction: UUID
    advice: tuple[tuple[UUID, int], ...]
    language: str
    notice: str
    text_sha256: str


class CardPlaced(Happened, frozen=True, tag="case.card-placed.v1"):
    """The case's message exists on a channel; `card` is the derived id of (channel, chat, message)."""

    card: UUID
    channel: str
    to: UUID
    message: Sealed


class AnswerDelivered(Happened, frozen=True, tag="case.answer-delivered.v1"):
    """`answer` is the id of the answer-composed event now visible to `to`."""

    answer: UUID
    to: UUID
    channel: str


class LabelConfirmed(Happened, frozen=True, tag="case.label-confirmed.v1"):
    """The final cause as `rater` knows it; `blinded` when no answer existed yet: one that was
    composed may be visible before its delivery is recorded."""

    cause: Cause
    level: int
    evidence: tuple[Evidence, ...]
    rater: UUID
    blinded: bool
    stage: Stage | None = None
    confidence: Confidence | None = None


class LabelRevised(Happened, frozen=True, tag="case.label-revised.v1"):
    """Replaces the label event `supersedes`, which stays in the history."""

    supersedes: UUID
    reason: Literal["changed-by-rater"]
    cause: Cause
    level: int
    evidence: tuple[Evidence, ...]
    rater: UUID
    blinded: bool
    stage: Stage | None = None
    confidence: Confidence | None = None


CaseEvent = (
    Opened
    | ImageSubmitted
    | ImageIngested
    | ImageRejected
    | ImageQuarantined
    | ImagesMoved
    | ContextGiven
    | OpinionGiven
    | PredictionProduced
    | PredictionDeclined
    | AnswerComposed
    | CardPlaced
    | AnswerDelivered
    | LabelConfirmed
    | LabelRevised
)
Label = LabelConfirmed | LabelRevised
Ingestion = ImageIngested | ImageRejected | ImageQuarantined
Prediction = PredictionProduced | PredictionDeclined


# State


class Image(Struct, frozen=True):
    """One item; `outcome` is None until ingest has spoken."""

    submitted: ImageSubmitted
    outcome: Ingestion | None = None


class Case(Struct, frozen=True):
    """The fold of a case's events. Ids beside an event name the event itself; `seen` is the
    prediction that the last delivered answer showed."""

    opened: Opened | None = None
    images: dict[UUID, Image] = {}
    moved_out: tuple[UUID, ...] = ()
    context: dict[str, str] = {}
    prediction: Prediction | None = None
    prediction_id: UUID | None = None
    answer: AnswerComposed | None = None
    answer_id: UUID | None = None
    delivered: tuple[UUID, ...] = ()
    seen: UUID | None = None
    card: CardPlaced | None = None
    card_id: UUID | None = None
    opinion: OpinionGiven | None = None
    label: Label | None = None
    label_id: UUID | None = None

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
    def af(self) -> Answer:
        """Is atrial fibrillation known? Unknown until somebody says so."""
        match self.context.get("af"):
            case "yes":
                return "yes"
            case "no":
                return "no"
        return "unknown"

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
            kept = {item: image for item, image in case.images.items() if item not in event.items}
            return replace(case, images=kept, moved_out=case.moved_out + event.items)
        case ImagesMoved():
            return case
        case ContextGiven():
            given = {fact.code: fact.value for fact in event.facts}
            return replace(case, context={**case.context, **given})
        case OpinionGiven():
            return replace(case, opinion=event)
        case PredictionProduced() | PredictionDeclined():
            return replace(case, prediction=event, prediction_id=event_id)
        case AnswerComposed():
            return replace(case, answer=event, answer_id=event_id)
        case CardPlaced():
            return replace(case, card=event, card_id=event_id)
        case AnswerDelivered():
            return _with_delivery(case, event)
        case LabelConfirmed() | LabelRevised():
            return replace(case, label=event, label_id=event_id)
        case _:
            assert_never(event)


def _with_outcome(case: Case, event: Ingestion) -> Case:
    image = case.images.get(event.item)
    if image is None:
        return case
    return replace(case, images={**case.images, event.item: replace(image, outcome=event)})


def _with_delivery(case: Case, event: AnswerDelivered) -> Case:
    shown = case.answer.prediction if case.answer and event.answer == case.answer_id else case.seen
    return replace(case, delivered=(*case.delivered, event.answer), seen=shown)


# Decisions: what follows from a request; [] means it is so already


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
    return [outcome] if awaited and outcome != case.images[outcome.item].outcome else []


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
    if case.opened is None or case.waiting or not case.usable:
        return False
    said = case.prediction
    if isinstance(said, PredictionDeclined) and said.reason == "failed":
        return True
    return said is None or (said.inputs, said.af, said.model) != (case.inputs, case.af, model)


def record_prediction(case: Case, prediction: Prediction) -> list[CaseEvent]:
    if not needs_prediction(case, prediction.model):
        return []
    if (prediction.inputs, prediction.af) != (case.inputs, case.af):
        return []
    return [] if prediction == case.prediction else [prediction]


def compose_answer(case: Case, answer: AnswerComposed) -> list[CaseEvent]:
    """One answer per prediction; a prediction that was overtaken is not answered any more."""
    if answer.prediction != case.prediction_id:
        return []
    return [] if case.answer and case.answer.prediction == answer.prediction else [answer]


def place_card(case: Case, placed: CardPlaced) -> list[CaseEvent]:
    return [] if case.card and case.card.card == placed.card else [placed]


def deliver_answer(case: Case, delivered: AnswerDelivered) -> list[CaseEvent]:
    return [] if delivered.answer in case.delivered else [delivered]


def confirm_label(
    case: Case, cause: Cause, evidence: tuple[Evidence, ...], rater: UUID
) -> list[CaseEvent]:
    """The final cause; a later, different one revises it and the earlier stays in the history."""
    must_belong_to(case, rater)
    level, blinded = label_level(evidence), case.answer is None
    if case.label is None or case.label_id is None:
        return [
            LabelConfirmed(
                cause=cause, level=level, evidence=evidence, rater=rater, blinded=blinded
            )
        ]
    if (case.label.cause, case.label.evidence) == (cause, evidence):
        return []
    return [
        LabelRevised(
            supersedes=case.label_id,
            reason="changed-by-rater",
            cause=cause,
            level=level,
            evidence=evidence,
            rater=rater,
            blinded=blinded,
        )
    ]


def must_belong_to(case: Case, person: UUID) -> None:
    """Raises NoSuchCase, NotYours."""
    if case.opened is None:
        raise NoSuchCase
    if not case.belongs_to(person):
        raise NotYours
