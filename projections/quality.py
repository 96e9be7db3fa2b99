"""How good the answers are: how fast they came, and how often they agreed with what became known."""

from collections.abc import Iterator, Sequence
from math import sqrt

from msgspec import Struct

from commands.ports import Db
from domain.case import (
    AnswerComposed,
    AnswerDelivered,
    ImageSubmitted,
    LabelConfirmed,
    LabelRevised,
    OpinionGiven,
    PredictionDeclined,
    PredictionProduced,
)
from domain.events import Recorded
from domain.stroke import LEVEL_INSTRUMENTAL
from projections.projection import Change, execute

Z_95 = 1.959964

# `model`, `top` and `chosen` are of the answer that was delivered last; `chosen` counts the causes
# in the model's set: 1 when it chose, more when it abstained, 0 when the question did not apply.
DDL = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    sent_at timestamptz NOT NULL,
    delivered_at timestamptz,
    model uuid,
    top text,
    chosen integer,
    opinion text,
    label text,
    label_level integer
);
CREATE TABLE predictions (
    prediction uuid PRIMARY KEY, model uuid NOT NULL, top text, chosen integer NOT NULL
);
CREATE TABLE answers (answer uuid PRIMARY KEY, prediction uuid NOT NULL);
"""
SUBMIT = """
INSERT INTO cases (case_id, sent_at) VALUES ($1, $2)
ON CONFLICT (case_id) DO UPDATE SET sent_at = least(cases.sent_at, excluded.sent_at)
"""
PREDICT = "INSERT INTO predictions VALUES ($1, $2, $3, $4)"
COMPOSE = "INSERT INTO answers VALUES ($1, $2)"
DELIVER = """
UPDATE cases SET delivered_at = coalesce(delivered_at, $3),
    (model, top, chosen) = (
        SELECT model, top, chosen FROM predictions JOIN answers USING (prediction)
        WHERE answer = $2
    )
WHERE case_id = $1
"""
OPINE = "UPDATE cases SET opinion = $2 WHERE case_id = $1"
LABEL = "UPDATE cases SET label = $2, label_level = $3 WHERE case_id = $1"


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await execute(db, batch, changes)


def changes(recorded: Recorded) -> Iterator[Change]:
    case_id, event_id = recorded.aggregate_id, recorded.id
    match recorded.event:
        case ImageSubmitted(sent=sent):
            yield Change(SUBMIT, (case_id, sent))
        case PredictionProduced(model=model, ranked=((top, _), *_), chosen=chosen):
            yield Change(PREDICT, (event_id, model, top, len(chosen)))
        case PredictionDeclined(model=model):
            yield Change(PREDICT, (event_id, model, None, 0))
        case AnswerComposed(prediction=prediction):
            yield Change(COMPOSE, (event_id, prediction))
        case AnswerDelivered(answer=answer):
            yield Change(DELIVER, (case_id, answer, recorded.envelope.time))
        case OpinionGiven(opinion=opinion):
            yield Change(OPINE, (case_id, opinion))
        case LabelConfirmed() | LabelRevised() as label:
            yield Change(LABEL, (case_id, label.cause, label.level))


# Queries


class Share(Struct, frozen=True):
    """`count` of `of`, with the 95 % Wilson interval (fractions of 1); it says nothing of none."""

    count: int
    of: int
    low: float
    high: float


class Summary(Struct, frozen=True):
    """`answered` cases got one cause, `abstained` got an answer without one. Seconds run from when
    the first photo was sent to the first answer; None while there is none. `agreement`: answered
    cases whose cause is the label, of those with a label of level 2 or more. `agreeing`: opinions
    that agree with the answer, of all opinions."""

    cases: int
    answered: int
    abstained: int
    seconds_p50: float | None
    seconds_p95: float | None
    agreement: Share
    agreeing: Share


SUMMARY = """
SELECT count(*) AS cases,
    count(*) FILTER (WHERE chosen = 1) AS answered,
    count(*) FILTER (WHERE chosen <> 1) AS abstained,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY extract(epoch FROM delivered_at - sent_at)::double precision
    ) FILTER (WHERE delivered_at IS NOT NULL) AS seconds,
    count(*) FILTER (WHERE chosen = 1 AND label_level >= $1) AS labelled,
    count(*) FILTER (WHERE chosen = 1 AND label_level >= $1 AND label = top) AS agreed,
    count(opinion) AS opinions,
    count(*) FILTER (WHERE opinion = 'agree' OR opinion = top) AS agreeing
FROM quality.cases
"""


async def summary(db: Db) -> Summary:
    found = await db.fetchrow(SUMMARY, LEVEL_INSTRUMENTAL)
    p50, p95 = found["seconds"] or (None, None)
    return Summary(
        cases=found["cases"],
        answered=found["answered"],
        abstained=found["abstained"],
        seconds_p50=p50,
        seconds_p95=p95,
        agreement=wilson(found["agreed"], found["labelled"]),
        agreeing=wilson(found["agreeing"], found["opinions"]),
    )


def wilson(count: int, of: int) -> Share:
    """The score interval of E. B. Wilson (1927), which holds for small numbers too."""
    if of == 0:
        return Share(0, 0, 0.0, 1.0)
    share, weight = count / of, Z_95**2 / of
    middle = (share + weight / 2) / (1 + weight)
    reach = Z_95 * sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return Share(count, of, max(0.0, middle - reach), min(1.0, middle + reach))
