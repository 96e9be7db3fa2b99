"""Events and states of cases made in one line, for tests of what is pure."""

from datetime import UTC, datetime
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from commands.examinations import catalogue
from domain import case as cases, examination
from domain.case import Case, CaseEvent
from domain.examination import Examination
from domain.sealed import Sealed
from domain.stroke import Answer, Cause

Declined = Literal["not-applicable", "out-of-distribution", "failed"]

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SEALED = Sealed(key="test", nonce="none", box="none")
PROFILE = "ingest@1"


def an_id(name: object) -> UUID:
    """The same name is the same id."""
    return uuid5(NAMESPACE_URL, f"made/{name}")


CASE_ID, CLINICIAN, MODEL = an_id("case"), an_id("clinician"), an_id("model")


def told(*events: CaseEvent) -> Case:
    """The case after these events; event number n has the id `an_id(n)`."""
    return more(Case(), *events)


def more(case: Case, *events: CaseEvent, since: int = 0) -> Case:
    for number, event in enumerate(events, since):
        case = cases.evolve(case, event, an_id(number))
    return case


def opened(by: UUID = CLINICIAN) -> cases.Opened:
    return cases.Opened(
        code="K7-4F2Q", site="demo-1", patient=an_id("patient"), origin="demo", by=by
    )


def submitted(item: object = 1, joined: cases.Joined = "first") -> cases.ImageSubmitted:
    return cases.ImageSubmitted(
        item=an_id(item), channel="photo", modality="mri", joined=joined, sent=NOON, file=SEALED
    )


def ingested(item: object = 1) -> cases.ImageIngested:
    return cases.ImageIngested(
        item=an_id(item),
        modality="mri",
        derivative=an_id(f"derivative {item}").hex * 2,
        pixels=an_id(f"pixels {item}").hex * 2,
        original=SEALED,
        width=8,
        height=8,
        source="screenshot",
        profile=PROFILE,
        phash="0" * 16,
        heads=((0, 0, 8, 8),),
        masked_permille=100,
        quality={"sharpness": 100},
    )


def rejected(item: object = 1, reason: cases.Reason = "too-blurred") -> cases.ImageRejected:
    return cases.ImageRejected(item=an_id(item), reason=reason, profile=PROFILE)


def quarantined(item: object = 1, reason: cases.Reason = "no-head") -> cases.ImageQuarantined:
    return cases.ImageQuarantined(item=an_id(item), reason=reason, profile=PROFILE, original=SEALED)


def produced(
    case: Case,
    top: Cause = "cardioembolic",
    permille: int = 700,
    *,
    abstains: bool = False,
    role: str = "demo",
    model: UUID = MODEL,
) -> cases.PredictionProduced:
    """What a model says about the case as it stands."""
    second: Cause = "large-artery" if top == "cardioembolic" else "cardioembolic"
    return cases.PredictionProduced(
        task="ce-vs-laa",
        inputs=case.inputs,
        af=case.af,
        ranked=((top, permille), (second, 1000 - permille)),
        chosen=(top, second) if abstains else (top,),
        interval=(max(permille - 80, 0), min(permille + 90, 1000)),
        attention=(1000,),
        model=model,
        model_sha256="3fa9c1d2" * 8,
        role=role,
        runtime="test",
    )


def declined(case: Case, reason: Declined = "not-applicable") -> cases.PredictionDeclined:
    return cases.PredictionDeclined(
        task="ce-vs-laa",
        inputs=case.inputs,
        af=case.af,
        reason=reason,
        model=MODEL,
    )


def af(value: Answer) -> cases.ContextGiven:
    return cases.ContextGiven(facts=(cases.Fact("af", value),), by=CLINICIAN)


def composed(prediction: UUID) -> cases.AnswerComposed:
    return cases.AnswerComposed(
        prediction=prediction, advice=(), language="en", notice="2026-11", text_sha256="0" * 64
    )


def delivered(answer: UUID) -> cases.AnswerDelivered:
    return cases.AnswerDelivered(answer=answer, to=CLINICIAN, channel="telegram")


def placed(card: object = "card") -> cases.CardPlaced:
    return cases.CardPlaced(card=an_id(card), channel="telegram", to=CLINICIAN, message=SEALED)


def shipped() -> dict[UUID, Examination]:
    """The shipped catalogue, published."""
    return {
        examination.examination_id(row.code): Examination(code=row.code, revision=1, text=row)
        for row in catalogue()
    }
