"""The library `eventsourcing` on PostgreSQL or SQLite, through its own recorders and repository.

Its payloads are ours, and what is decoded is decoded as ours: the store is what is compared.
"""

import time
from collections.abc import Iterator, Mapping
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from eventsourcing.utils import Environment

from benchmarks.measuring import Measured, Stopwatch
from benchmarks.stories import Written, fresh, written
from domain.events import decode

PAGE_EVENTS = 1000
LONG_CASE_EVENTS = 100
LOADS = 20


class Story(Aggregate):
    """An aggregate of the library whose events hold our payloads."""

    def __init__(self) -> None:
        self.last = ""

    @event("Recorded")
    def record(self, payload: str) -> None:
        self.last = payload


def single(environment: Mapping[str, str], events: int, seed: str) -> Measured:
    recorder = _recorder(environment)
    stored = [_stored(each, 1) for each in fresh(events, seed)]
    with Stopwatch(events) as watch:
        for each in stored:
            since = time.perf_counter()
            recorder.insert_events([each])
            watch.lap(since)
    return watch.measured


def filled(environment: Mapping[str, str], events: int) -> Measured:
    recorder = _recorder(environment)
    stored = list(_versioned(written(events, "fill")))
    with Stopwatch(events) as watch:
        for at in range(0, events, PAGE_EVENTS):
            recorder.insert_events(stored[at : at + PAGE_EVENTS])
    return watch.measured


def replayed(environment: Mapping[str, str], events: int) -> Measured:
    """All notifications, in pages, decoded into typed events."""
    recorder = _recorder(environment)
    read, start = 0, 1
    with Stopwatch(events) as watch:
        while page := recorder.select_notifications(start, PAGE_EVENTS):
            for notification in page:
                decode(notification.id, notification.state)
            read, start = read + len(page), page[-1].id + 1
    assert read == events
    return watch.measured


def loaded(environment: Mapping[str, str]) -> Measured:
    """`repository.get` of an aggregate with 100 events."""
    application: Application[UUID] = Application(env=dict(environment))
    story = Story()
    for each in written(LONG_CASE_EVENTS - 1, "long"):
        story.record(each.entry.payload.decode())
    application.save(story)
    application.repository.get(story.id)
    with Stopwatch(LOADS) as watch:
        for _ in range(LOADS):
            since = time.perf_counter()
            application.repository.get(story.id)
            watch.lap(since)
    return watch.measured


def _recorder(environment: Mapping[str, str]) -> ApplicationRecorder:
    factory = InfrastructureFactory.construct(Environment("Bench", dict(environment)))
    return factory.application_recorder()


def _versioned(made: list[Written]) -> Iterator[StoredEvent]:
    versions: dict[UUID, int] = {}
    for each in made:
        case = each.commit.aggregate_id
        versions[case] = versions.get(case, 0) + 1
        yield _stored(each, versions[case])


def _stored(each: Written, version: int) -> StoredEvent:
    topic = each.entry.subject.rpartition(".")[2]
    return StoredEvent(each.commit.aggregate_id, version, topic, each.entry.payload)
