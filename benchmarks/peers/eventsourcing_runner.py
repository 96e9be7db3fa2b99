"""The projection runner of the library `eventsourcing` on PostgreSQL, with the same two read models.

The events lie in its own table; payloads are ours and are decoded as ours. Its runner calls the
projection with one event after the other, each a transaction of rows and tracking record.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

from benchmarks.measuring import Measured, Stopwatch
from domain.case import (
    AnswerComposed,
    AnswerDelivered,
    ImageIngested,
    ImageSubmitted,
    LabelConfirmed,
    Opened,
    PredictionProduced,
)
from domain.events import Recorded, decode
from projections import history, inbox

SECONDS_MAX = 600.0
SCHEMA = "peer"
RECORD = "INSERT INTO peer.events VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
OPEN = "INSERT INTO peer.cases (case_id, code, site, person, opened_at) VALUES (%s, %s, %s, %s, %s)"
SUBMIT = "INSERT INTO peer.images VALUES (%s, %s, %s, %s)"
INGEST = "UPDATE peer.images SET outcome = 'usable' WHERE case_id = %s AND item = %s"
OUTDATE = "UPDATE peer.cases SET answer = NULL, answered = false WHERE case_id = %s"
PREDICT = """
UPDATE peer.cases SET prediction = %s, top = %s, top_permille = %s, abstained = %s,
    answer = NULL, answered = false WHERE case_id = %s
"""
COMPOSE = "UPDATE peer.cases SET answer = %s WHERE case_id = %s AND prediction = %s"
DELIVER = "UPDATE peer.cases SET answered = true WHERE case_id = %s AND answer = %s"
LABEL = "UPDATE peer.cases SET label = %s WHERE case_id = %s"

Statement = tuple[str, tuple[Any, ...]]


class OurMapper(Mapper[UUID]):
    """Events are what they are to us."""

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return decode(getattr(stored_event, "id", 0), stored_event.state)


class Bench(Application[UUID]):
    """Whose events `eventsourcing_store.filled` has stored."""

    def construct_mapper(self) -> Mapper[UUID]:
        return self.factory.mapper(self.construct_transcoder(), OurMapper)


class View(PostgresTrackingRecorder):
    """Our tables with all their indices, and its tracking."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        made = "".join(part for model in (history, inbox) for part in (model.DDL, model.INDICES))
        create = f"CREATE SCHEMA {SCHEMA}; SET LOCAL search_path TO {SCHEMA}; {made}"
        self.sql_create_statements.append(SQL(create).format())

    def write(self, statements: Iterator[Statement], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for statement, values in statements:
                cursor.execute(statement, values, prepare=True)


class Models(Projection[View]):
    """Both read models."""

    def process_event(self, domain_event: Recorded, tracking: Tracking) -> None:
        self.view.write(_statements(domain_event), tracking)


def rebuilt(environment: Mapping[str, str], events: int) -> Measured:
    """From the first event on."""
    with (
        Stopwatch(events) as watch,
        ProjectionRunner(
            application_class=Bench,
            projection_class=Models,
            view_class=View,
            env=dict(environment),
        ) as runner,
    ):
        runner.wait(events, SECONDS_MAX)
    return watch.measured


def _statements(recorded: Recorded) -> Iterator[Statement]:
    case, event_id = recorded.aggregate_id, recorded.id
    yield RECORD, history._row(recorded)
    match recorded.event:
        case Opened() as opened:
            time = recorded.envelope.time
            yield OPEN, (case, opened.code, opened.site, opened.by, time)
        case ImageSubmitted() as image:
            yield SUBMIT, (case, image.item, recorded.sequence, image.sent)
        case ImageIngested(item=item):
            yield INGEST, (case, item)
            yield OUTDATE, (case,)
        case PredictionProduced(ranked=((top, permille), *_), chosen=chosen):
            yield PREDICT, (event_id, top, permille, len(chosen) != 1, case)
        case AnswerComposed(prediction=prediction):
            yield COMPOSE, (event_id, case, prediction)
        case AnswerDelivered(answer=answer):
            yield DELIVER, (case, answer)
        case LabelConfirmed(cause=cause):
            yield LABEL, (cause, case)
