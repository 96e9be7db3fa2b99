"""How good the answers are: how fast they came, and how often they agreed with what became known."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from commands.ports import Db
from domain.case import (
    AnswerComposed,
    AnswerDelivered,
    ImageIngested,
    ImageSubmitted,
    LabelConfirmed,
    LabelRevised,
    Opened,
    OpinionGiven,
    PredictionDeclined,
    PredictionProduced,
    Withdrawn,
)
from domain.events import Recorded
from domain.model import Registered
from domain.stroke import CAUSES, LEVEL_INSTRUMENTAL
from projections import cursor
from projections.measures import Agreement, Share, agreement, wilson
from projections.projection import Change, execute
from projections.strata import DIMENSIONS, Dimension, Group, Seconds, Tally, everything, grouped

# `said` is the one cause a model chose, `abstained` where it chose none, or why it declined; the
# view keeps each model's last word in each case. `channel` is how the images it saw had come.
# Imported cases, which nobody answers, are no rows.
DDL = """
CREATE TABLE cases (
    case_id uuid PRIMARY KEY,
    sent_at timestamptz,
    answered_at timestamptz,
    answered_by uuid,
    label text,
    label_level integer,
    rater uuid,
    blinded boolean,
    withdrawn boolean NOT NULL DEFAULT false
);
CREATE TABLE images (
    case_id uuid NOT NULL, item uuid NOT NULL, channel text NOT NULL, derivative text,
    PRIMARY KEY (case_id, item)
);
CREATE TABLE predictions (
    prediction uuid PRIMARY KEY,
    case_id uuid NOT NULL,
    sequence bigint NOT NULL,
    model uuid NOT NULL,
    said text NOT NULL,
    images integer NOT NULL,
    channel text
);
CREATE INDEX predictions_case ON predictions (case_id, model, sequence DESC);
CREATE TABLE answers (answer uuid PRIMARY KEY, prediction uuid NOT NULL);
CREATE TABLE opinions (
    case_id uuid NOT NULL, person uuid NOT NULL, opinion text NOT NULL, prediction uuid,
    before_reveal boolean NOT NULL, PRIMARY KEY (case_id, person)
);
CREATE TABLE models (model uuid PRIMARY KEY, name text NOT NULL);
CREATE VIEW judged AS
SELECT DISTINCT ON (case_id, predictions.model)
    coalesce(name, model::text) AS model, channel, images, said,
    label, label_level AS level, blinded,
    CASE WHEN answered_by = model THEN extract(epoch FROM answered_at - sent_at) END AS seconds
FROM predictions JOIN cases USING (case_id) LEFT JOIN models USING (model) WHERE NOT withdrawn
ORDER BY case_id, predictions.model, sequence DESC;
"""
OPEN = "INSERT INTO cases (case_id) VALUES ($1)"
SENT = "UPDATE cases SET sent_at = least(sent_at, $2) WHERE case_id = $1"
SUBMIT = "INSERT INTO images (case_id, item, channel) VALUES ($1, $2, $3)"
INGEST = "UPDATE images SET derivative = $3 WHERE case_id = $1 AND item = $2"
PREDICT = """
INSERT INTO predictions SELECT $2, $1, $3, $4, $5, cardinality($6::text[]),
    CASE WHEN count(DISTINCT channel) > 1 THEN 'mixed' ELSE min(channel) END
FROM images WHERE case_id = $1 AND derivative = ANY($6)
"""
COMPOSE = "INSERT INTO answers VALUES ($1, $2)"
DELIVER = """
UPDATE cases SET answered_at = $3, answered_by = model
FROM answers JOIN predictions USING (prediction)
WHERE cases.case_id = $1 AND answer = $2 AND answered_at IS NULL
"""
OPINE = """
INSERT INTO opinions VALUES ($1, $2, $3, $4, $5) ON CONFLICT (case_id, person) DO UPDATE
SET opinion = excluded.opinion, prediction = excluded.prediction,
    before_reveal = excluded.before_reveal
"""
LABEL = """
UPDATE cases SET label = $2, label_level = $3, rater = $4, blinded = $5 WHERE case_id = $1
"""
WITHDRAW = "UPDATE cases SET withdrawn = true WHERE case_id = $1"
KNOW = "INSERT INTO models VALUES ($1, $2)"


async def apply(db: Db, batch: Sequence[Recorded]) -> None:
    await execute(db, batch, changes)


def changes(recorded: Recorded) -> Iterator[Change]:
    case_id, event_id = recorded.aggregate_id, recorded.id
    match recorded.event:
        case Opened(origin=origin) if origin != "import":
            yield Change(OPEN, (case_id,))
        case ImageSubmitted() as image:
            yield Change(SENT, (case_id, image.sent))
            yield Change(SUBMIT, (case_id, image.item, image.channel))
        case ImageIngested() as image:
            yield Change(INGEST, (case_id, image.item, image.derivative))
        case PredictionProduced() | PredictionDeclined() as one:
            answer = (one.model, said(one), list(one.inputs))
            yield Change(PREDICT, (case_id, event_id, recorded.sequence, *answer))
        case AnswerComposed(prediction=prediction):
            yield Change(COMPOSE, (event_id, prediction))
        case AnswerDelivered(answer=answer):
            yield Change(DELIVER, (case_id, answer, recorded.envelope.time))
        case OpinionGiven() as given:
            seen = (given.prediction, given.before_reveal)
            yield Change(OPINE, (case_id, given.by, given.opinion, *seen))
        case LabelConfirmed() | LabelRevised() as label:
            known = (label.cause, label.level)
            yield Change(LABEL, (case_id, *known, label.rater, label.blinded))
        case Withdrawn():
            yield Change(WITHDRAW, (case_id,))
        case Registered() as model:
            name = f"{model.name} {model.version} ({model.sha256[:8]})"
            yield Change(KNOW, (recorded.aggregate_id, name))


def said(prediction: PredictionProduced | PredictionDeclined) -> str:
    match prediction:
        case PredictionDeclined(reason=reason):
            return reason
        case PredictionProduced(chosen=(cause,)):
            return cause
        case _:
            return "abstained"


# Queries


class Readers(Struct, frozen=True):
    """Opinions that name a cause, beside labels of level 2 or more: `own` the rater's, `own_unaided`
    those given before any answer was seen, `second` somebody else's; and beside the cause that the
    answer named: `model`."""

    own: Agreement
    own_unaided: Agreement
    second: Agreement
    model: Agreement


class Report(Struct, frozen=True):
    """As of the event `sequence`. `cases` are all, with or without an answer, but for the `withdrawn`,
    which nothing else counts; of them `labelled` have a label and `instrumental` one of level 2 or
    more. `everything` is the group of all."""

    sequence: int
    cases: int
    withdrawn: int
    labelled: Share
    instrumental: Share
    readers: Readers
    everything: Group
    by: tuple[Dimension, ...]
    groups: tuple[Group, ...]


CASES = """
SELECT count(*) AS cases, count(label) AS labelled,
    count(*) FILTER (WHERE label_level >= $1) AS instrumental,
    (SELECT count(*) FROM quality.cases WHERE withdrawn) AS withdrawn
FROM quality.cases WHERE NOT withdrawn
"""
TALLIES = """
SELECT CASE WHEN 'model' = ANY($1) THEN model END AS model,
    CASE WHEN 'channel' = ANY($1) THEN channel END AS channel,
    CASE WHEN 'images' = ANY($1) THEN images END AS images,
    said, label, level, count(*) AS cases, count(*) FILTER (WHERE blinded) AS blinded
FROM quality.judged GROUP BY 1, 2, 3, 4, 5, 6
"""
SECONDS = """
SELECT CASE WHEN 'model' = ANY($1) THEN model END AS model,
    CASE WHEN 'channel' = ANY($1) THEN channel END AS channel,
    CASE WHEN 'images' = ANY($1) THEN images END AS images,
    CASE WHEN 'level' = ANY($1) THEN level END AS level,
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
        ORDER BY seconds::double precision
    ) FILTER (WHERE seconds IS NOT NULL) AS seconds
FROM quality.judged GROUP BY 1, 2, 3, 4
"""
OPINIONS = """
SELECT CASE opinion WHEN 'agree' THEN said ELSE opinion END AS opinion, before_reveal AS unaided,
    person = rater AS own, said, CASE WHEN label_level >= $1 THEN label END AS label,
    count(*) AS cases
FROM quality.opinions JOIN quality.cases USING (case_id)
LEFT JOIN quality.predictions USING (prediction) WHERE NOT withdrawn
GROUP BY 1, 2, 3, 4, 5
"""


async def report(db: Db, by: Sequence[Dimension] = ()) -> Report:
    """All of one moment. Raises Unavailable while no runner has created the projection."""
    async with db.transaction():
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = await db.fetchrow(CASES, LEVEL_INSTRUMENTAL)
        return Report(
            sequence=(await cursor.live(db, "quality")).sequence,
            cases=found["cases"],
            withdrawn=found["withdrawn"],
            labelled=wilson(found["labelled"], found["cases"]),
            instrumental=wilson(found["instrumental"], found["cases"]),
            readers=_readers(await db.fetch(OPINIONS, LEVEL_INSTRUMENTAL)),
            everything=everything(*await _counted(db, ())),
            by=tuple(by),
            groups=grouped(by, *await _counted(db, by)),
        )


async def _counted(db: Db, by: Sequence[Dimension]) -> tuple[list[Tally], Seconds]:
    tallies = [Tally(**row) for row in await db.fetch(TALLIES, list(by))]
    timed = await db.fetch(SECONDS, list(by))
    return tallies, {tuple(row[one] for one in DIMENSIONS): row["seconds"] for row in timed}


def _readers(found: list[Any]) -> Readers:
    own, others = [row for row in found if row["own"]], [row for row in found if not row["own"]]
    return Readers(
        own=_beside(own, "label"),
        own_unaided=_beside([row for row in own if row["unaided"]], "label"),
        second=_beside(others, "label"),
        model=_beside(found, "said"),
    )


def _beside(opinions: list[Any], other: str) -> Agreement:
    """Opinions beside the label or the answer, where both name a cause."""
    pairs: Counter[tuple[str, str]] = Counter()
    for row in opinions:
        if row["opinion"] in CAUSES and row[other] in CAUSES:
            pairs[row["opinion"], row[other]] += row["cases"]
    return agreement(pairs)
