"""The library's recorders on a stream. Notification ids are the stream's sequences."""

from collections.abc import Sequence
from contextlib import aclosing
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)

from adapters.eventsourcing.loop import LoopThread
from adapters.eventsourcing.records import (
    EVENTS,
    Subjects,
    event_message,
    notification,
    originator_token,
    position,
    stored_event,
    tracking_message,
    version_in,
)
from adapters.eventsourcing.stream import EventStream, Message
from adapters.eventsourcing.subscription import JetStreamSubscription, Notifications
from adapters.storage.replay import Stored


class JetStreamRecorder:
    """What all recorders of one application share; `purpose` is `events` or `snapshots`."""

    def __init__(self, thread: LoopThread, stream: EventStream, purpose: str = EVENTS) -> None:
        self._thread = thread
        self._stream = stream
        self._subjects = Subjects(stream.name)
        self._purpose = purpose

    def _insert(self, events: Sequence[StoredEvent], tracking: Tracking | None = None) -> list[int]:
        """The events' sequences. The position goes first, so that they are the batch's last."""
        insert = uuid4().bytes
        messages = [self._tracking_message(tracking, insert)] if tracking else []
        messages += [event_message(self._subjects, self._purpose, each, insert) for each in events]
        if not messages:
            return []
        last = self._thread.run(self._stream.insert(messages))
        return list(range(last - len(events) + 1, last + 1))

    def _tracking_message(self, tracking: Tracking, insert: bytes) -> Message:
        stored = self._tracked(tracking.application_name)
        if stored and position(stored) >= tracking.notification_id:
            raise IntegrityError(f"{tracking} is not after {position(stored)}")
        expected = stored[0] if stored else 0
        return tracking_message(self._subjects, tracking, insert, expected)

    def _tracked(self, application_name: str) -> Stored | None:
        subject = self._subjects.tracking(application_name)
        return self._thread.run(self._stream.last(subject))


class JetStreamAggregateRecorder(JetStreamRecorder, AggregateRecorder):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """All or none, at most 1000. Raises IntegrityError when a version is recorded already."""
        self._insert(stored_events)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """In the order of versions, whatever the order they were recorded in."""
        originator = originator_token(originator_id)
        if gt is lte is limit is None:
            found = self._thread.run(self._history(originator))
        else:
            versions = sorted(
                version
                for version in self._thread.run(self._versions(originator))
                if (gt is None or version > gt) and (lte is None or version <= lte)
            )
            wanted = (versions[::-1] if desc else versions)[:limit]
            found = self._thread.run(self._at(originator, wanted))
        events = [stored_event(each, originator_id) for each in found]
        return sorted(events, key=attrgetter("originator_version"), reverse=desc)

    async def _history(self, originator: str) -> list[Stored]:
        history = self._subjects.history(self._purpose, originator)
        return [stored async for stored in self._stream.read(history)]

    async def _versions(self, originator: str) -> list[int]:
        """Those recorded, as the server's index of subjects knows them."""
        history = self._subjects.history(self._purpose, originator)
        return [version_in(subject) for subject in await self._stream.subjects(history)]

    async def _at(self, originator: str, versions: Sequence[int]) -> list[Stored]:
        subjects = self._subjects
        return await self._stream.at(
            [subjects.version(self._purpose, originator, version) for version in versions]
        )


class JetStreamApplicationRecorder(JetStreamAggregateRecorder, ApplicationRecorder):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        return self._insert(stored_events)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = 1 if start is None else start + (not inclusive_of_start)
        return self._thread.run(self._select(max(first, 1), limit, stop, topics))

    def max_notification_id(self) -> int | None:
        stored = self._thread.run(self._stream.last(self._subjects.events))
        return stored[0] if stored else None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return JetStreamSubscription(self, gt, topics, self._thread, self._follow(gt or 0))

    async def _select(
        self, first: int, limit: int, stop: int | None, topics: Sequence[str]
    ) -> list[Notification]:
        selected: list[Notification] = []
        async with aclosing(self._stream.read(self._subjects.events, first, limit)) as found:
            async for stored in found:
                each = notification(stored)
                if not each or (stop is not None and each.id > stop):
                    break
                if not topics or each.topic in topics:
                    selected.append(each)
                if len(selected) == limit:
                    break
        return selected

    async def _follow(self, after: int) -> Notifications:
        async with aclosing(self._stream.follow(after)) as pieces:
            async for piece in pieces:
                yield [each for stored in piece if (each := notification(stored))]


class JetStreamTrackingRecorder(JetStreamRecorder, TrackingRecorder):
    def insert_tracking(self, tracking: Tracking) -> None:
        """Raises IntegrityError unless it is after the last one."""
        self._insert((), tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        stored = self._tracked(application_name)
        return position(stored) if stored else None


class JetStreamProcessRecorder(
    JetStreamTrackingRecorder, JetStreamApplicationRecorder, ProcessRecorder
):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Events and `tracking` in one batch."""
        return self._insert(stored_events, kwargs.get("tracking"))
