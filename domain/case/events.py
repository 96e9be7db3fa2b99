"""What can happen to a case: each event under the name and version in its tag."""

from datetime import date
from typing import Literal
from uuid import UUID

from msgspec import Struct, field

from domain.happened import Happened
from domain.identity import Instant
from domain.sealed import Sealed
from domain.stroke import Answer, Cause, Confidence, Evidence, Modality, Stage

NAME = "case"

Origin = Literal["bot", "import", "demo"]
Channel = Literal["photo", "document", "file"]
Joined = Literal["first", "album", "window", "reply", "split"]
Source = Literal["screenshot", "screen-photo", "unknown", "film"]
Opinion = Literal["agree", "unsure"] | Cause
Suggestion = Literal["clinician", "near-duplicate"]
Withdrawal = Literal["consent", "wrong-patient", "not-usable", "erasure"]
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
    "text-covers-head",
    "text-remains",
    "decoder-failed",
    "time-limit",
    "source-gone",
    "failed",
    "too-dark",
    "too-bright",
    "glare",
    "not-recognised",
    "not-used-yet",
]


class Opened(Happened, frozen=True, tag="case.opened.v1"):
    """`patient` is random unless cases are linked: no identity is stored. `by` is a person."""

    code: str
    site: str
    patient: UUID
    origin: Origin
    by: UUID


class ImageSubmitted(Happened, frozen=True, tag="case.image-submitted.v1"):
    """An image arrived. `file` is its sealed address (`telegram:<file id>`, `kept:<case>/<sha256>`), `sent`
    when it was sent, or the day it was taken where existing data says so."""

    item: UUID
    channel: Channel
    modality: Modality
    joined: Joined
    sent: Instant
    file: Sealed
    caption: Sealed | None = None


class ImageIngested(Happened, frozen=True, tag="case.image-ingested.v1"):
    """De-identified. Hashes are SHA-256 in hex: `derivative` of its file bytes, `pixels` of its raster,
    `original` (sealed) of the bytes as sent. Measures are integers; boxes are (x, y, width, height).
    `fingerprints` are 64 bits and 192 finer ones of each head in hex; none before the profile ingest-3.
    `sequences` are what each head was recognised as, `mri` where no sequence is certain."""

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
    fingerprints: tuple[str, ...] = ()
    sequences: tuple[Modality, ...] = ()


class ImageRejected(Happened, frozen=True, tag="case.image-rejected.v1"):
    """Unusable, for the named reason; nothing of it is kept."""

    item: UUID
    reason: Reason
    profile: str


class ImageQuarantined(Happened, frozen=True, tag="case.image-quarantined.v1"):
    """Decoded, but its anatomy could not be isolated: the original is kept restricted, nothing is shown.
    `modality` is what it was recognised as, if nothing is done yet with that."""

    item: UUID
    reason: Reason
    profile: str
    original: Sealed
    modality: Modality | None = None


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


class Said(Happened, frozen=True):
    """What a model says of a case; `PredictionProduced` tells the fields."""

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
    context: dict[str, str] = field(default_factory=dict)
    sequences: tuple[tuple[Modality, ...], ...] = ()


class PredictionProduced(Said, frozen=True, tag="case.prediction-produced.v1"):
    """`ranked` in permille, most likely first; `chosen` has one cause, or all of them when the model
    abstains. `interval` (permille) is the 95 % interval of the first. `attention` (permille) is per
    input. `inputs` are derivatives' SHA-256 in the order the model took them. `context` are the other
    answers it uses, by code, and `sequences` what each input's heads were recognised as: both empty
    for a model that uses none."""


class PredictionDeclined(Happened, frozen=True, tag="case.prediction-declined.v1"):
    task: str
    inputs: tuple[str, ...]
    af: Answer
    reason: Literal["not-applicable", "out-of-distribution", "failed"]
    model: UUID


class ShadowPredicted(Said, frozen=True, tag="case.shadow-predicted.v1"):
    """What a model in the role `shadow` would have said: nobody is shown it, no answer follows. The
    fields are those of `prediction-produced`; of what it `declined`, nothing is ranked."""

    declined: Literal["", "out-of-distribution"] = ""


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
    """The final cause as `rater` knew it on the day `at`; `blinded` when no answer existed yet: one
    that was composed may be visible before its delivery is recorded."""

    cause: Cause
    level: int
    evidence: tuple[Evidence, ...]
    rater: UUID
    blinded: bool
    stage: Stage | None = None
    confidence: Confidence | None = None
    at: date | None = None


class LabelRevised(Happened, frozen=True, tag="case.label-revised.v1"):
    """Replaces the label event `supersedes`, which stays in the history."""

    supersedes: UUID
    reason: Literal["changed-by-rater", "another-rater"]
    cause: Cause
    level: int
    evidence: tuple[Evidence, ...]
    rater: UUID
    blinded: bool
    stage: Stage | None = None
    confidence: Confidence | None = None
    at: date | None = None


class Linked(Happened, frozen=True, tag="case.linked.v1"):
    """The same patient as in the case `other`; both cases say so in one batch. `by` is a person,
    nobody for the operator; `suggested` says who or what thought of it first."""

    other: UUID
    suggested: Suggestion
    by: UUID | None = None


class Alike(Struct, frozen=True, gc=False):
    """An earlier image, and how many of the first 64 bits of a head's fingerprint differ."""

    case: UUID
    item: UUID
    bits: int


class NearDuplicatesFound(Happened, frozen=True, tag="case.near-duplicates-found.v1"):
    """A head on the image `item` looks like one on earlier images of this case or of others: of each
    case the image most alike, nearest first."""

    item: UUID
    alike: tuple[Alike, ...]


class ToldApart(Happened, frozen=True, tag="case.told-apart.v1"):
    """Another patient than in the case `other`, whatever their images look like; both cases say so in
    one batch. `by` is a person, None the operator."""

    other: UUID
    by: UUID | None


class Withdrawn(Happened, frozen=True, tag="case.withdrawn.v1"):
    """No dataset has the case from here on; `erasure` says that its erasure was asked for as well."""

    reason: Withdrawal
    by: UUID | None = None


class Erased(Happened, frozen=True, tag="case.erased.v1"):
    """The case's key was destroyed and its objects deleted, as asked by the event `withdrawal`."""

    withdrawal: UUID


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
    | ShadowPredicted
    | AnswerComposed
    | CardPlaced
    | AnswerDelivered
    | LabelConfirmed
    | LabelRevised
    | Linked
    | NearDuplicatesFound
    | ToldApart
    | Withdrawn
    | Erased
)
Label = LabelConfirmed | LabelRevised
Ingestion = ImageIngested | ImageRejected | ImageQuarantined
Prediction = PredictionProduced | PredictionDeclined
