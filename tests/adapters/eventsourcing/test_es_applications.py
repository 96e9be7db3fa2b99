"""Whole applications and projections of the library's own suite, run on JetStream."""

from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.tests.application import ApplicationTestCase, ExampleApplicationTestCase
from eventsourcing.tests.projection import (
    AggregateEventCountersProjectionTestCase,
    EventCountersView,
    EventCountersViewTestCase,
    EventSourcedProjectionTestCase,
)
from eventsourcing.utils import Environment, get_topic

from adapters.eventsourcing import JetStreamFactory
from adapters.eventsourcing.recorders import JetStreamProcessRecorder


class Counters(JetStreamProcessRecorder, EventCountersView):
    """A view whose every increment is an event, stored in one batch with the position."""

    def get_created_event_counter(self) -> int:
        return self._count("created")

    def get_subsequent_event_counter(self) -> int:
        return self._count("subsequent")

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._increment("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._increment("subsequent", tracking)

    def _increment(self, counter: str, tracking: Tracking) -> None:
        incremented = StoredEvent(counter, self._count(counter) + 1, "incremented", b"")
        self.insert_events([incremented], tracking=tracking)

    def _count(self, counter: str) -> int:
        last = self.select_events(counter, desc=True, limit=1)
        return last[0].originator_version if last else 0


class InOurEnvironment:
    """The suite reads `os.environ` or the class's `env`."""

    @pytest.fixture(autouse=True)
    def _environment(self, es_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in es_env.items():
            monkeypatch.setenv(name, value)


class TestExampleApplication(InOurEnvironment, ExampleApplicationTestCase):
    expected_factory_topic = get_topic(JetStreamFactory)


class TestApplication(InOurEnvironment, ApplicationTestCase):
    # The suite expects the library's own deprecation warning.
    test_application_log: Any = pytest.mark.filterwarnings("default::DeprecationWarning")(
        ApplicationTestCase.test_application_log
    )


class TestCountersView(EventCountersViewTestCase):
    @pytest.fixture(autouse=True)
    def _factory(self, es_env: dict[str, str]) -> Any:
        self.factory = JetStreamFactory(Environment("view", es_env))
        yield
        self.factory.close()

    def construct_event_counters_view(self) -> EventCountersView:
        view = self.factory.tracking_recorder(Counters)
        assert isinstance(view, Counters)
        return view


class TestProjection(InOurEnvironment, AggregateEventCountersProjectionTestCase):
    view_class = Counters


class TestEventSourcedProjection(InOurEnvironment, EventSourcedProjectionTestCase):
    """A projection that is an application itself, with events and position in one batch."""


del AggregateEventCountersProjectionTestCase
del ApplicationTestCase
del EventCountersViewTestCase
del EventSourcedProjectionTestCase
del ExampleApplicationTestCase
