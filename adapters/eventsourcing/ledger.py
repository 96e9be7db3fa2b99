"""The ictus ledger as an `eventsourcing` application that only reads.

Topics are the events' CloudEvents types, such as `ictus.case.label-confirmed.v1`; notification ids
are the ledger's sequences. What is sealed stays sealed.
"""

from array import array
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import cached_property
from typing import Any, NoReturn, cast
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    Notification,
    NotSupportedError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.utils import Environment
from msgspec import Struct

from adapters.eventsourcing.factory import connected
from adapters.eventsourcing.loop import LoopThread
from adapters.eventsourcing.subscription import JetStreamSubscription, Notifications
from adapters.storage.jetstream import JetStreamLedger
from domain.events import KINDS, Event, Recorded, decode

ANY_KIND = "*"


class LedgerAggregate(Struct, frozen=True):
    """An aggregate after `version` events; `state` is the domain's, such as `domain.case.Case`."""

    id: UUID
    version: int
    kind: str
    state: Any
    created_on: datetime
    modified_on: datetime


class LedgerEvent(Struct, frozen=True):
    """An event of the ledger; `originator_version` is its position in its aggregate, from 1."""

    originator_id: UUID
    originator_version: int
    recorded: Recorded

    @property
    def data(self) -> Event:
        """Such as `domain.case.LabelConfirmed`."""
        return self.recorded.event

    @property
    def timestamp(self) -> datetime:
        return self.recorded.envelope.time

    @property
    def sequence(self) -> int:
        return self.recorded.sequence

    def mutate(self, aggregate: LedgerAggregate | None) -> LedgerAggregate:
        kind = KINDS[self.recorded.aggregate]
        state = aggregate.state if aggregate else kind.initial
        return LedgerAggregate(
            id=self.originator_id,
            version=self.originator_version,
            kind=kind.name,
            state=kind.evolve(state, self.data, self.recorded.id),
            created_on=aggregate.created_on if aggregate else self.timestamp,
            modified_on=self.timestamp,
        )


class LedgerMapper(Mapper[UUID]):
    """CloudEvents to LedgerEvent; there is no way back."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> NoReturn:
        raise _read_only()

    def to_domain_event(self, stored_event: StoredEvent) -> LedgerEvent:
        assert isinstance(stored_event, Notification)
        assert isinstance(stored_event.originator_id, UUID)
        recorded = decode(stored_event.id, stored_event.state)
        return LedgerEvent(stored_event.originator_id, stored_event.originator_version, recorded)


class LedgerRecorder(ApplicationRecorder):
    """Raises NotSupportedError for every insert, InternalError when the ledger is damaged."""

    def __init__(self, thread: LoopThread) -> None:
        self._thread = thread
        self._ledger = JetStreamLedger(thread.client)
        self._positions = Positions()

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> NoReturn:
        raise _read_only()

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[Notification]:
        """The aggregate's chain of hashes is checked."""
        history = self._thread.run(self._ledger.load(ANY_KIND, UUID(str(originator_id))))
        found = [
            _notification(recorded, version)
            for version, recorded in enumerate(history, start=1)
            if (gt is None or version > gt) and (lte is None or version <= lte)
        ]
        return (found[::-1] if desc else found)[:limit]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else max(start - inclusive_of_start, 0)
        return self._thread.run(self._select(after, limit, stop, topics))

    def max_notification_id(self) -> int | None:
        return self._thread.run(self._ledger.head()).sequence or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return JetStreamSubscription(self, gt, topics, self._thread, self._follow(gt or 0))

    async def _select(
        self, after: int, limit: int, stop: int | None, topics: Sequence[str]
    ) -> list[Notification]:
        selected: list[Notification] = []
        head = (await self._ledger.head()).sequence
        last = head if stop is None else min(stop, head)
        if after >= last:
            return selected
        await self._place_until(after)
        async with _closing(self._ledger.read(after)) as found:
            async for recorded in found:
                each = self._placed(recorded)
                if not topics or each.topic in topics:
                    selected.append(each)
                if len(selected) == limit or recorded.sequence == last:
                    break
        return selected

    async def _follow(self, after: int) -> Notifications:
        await self._place_until(after)
        async with _closing(self._ledger.follow(after)) as found:
            async for recorded in found:
                yield [self._placed(recorded)]

    async def _place_until(self, sequence: int) -> None:
        """A position can only be counted: what lies before `sequence` is read once."""
        if self._positions.known >= sequence:
            return
        async with _closing(self._ledger.read(self._positions.known)) as found:
            async for recorded in found:
                self._positions.of(recorded)
                if recorded.sequence == sequence:
                    return

    def _placed(self, recorded: Recorded) -> Notification:
        return _notification(recorded, self._positions.of(recorded))


class Positions:
    """Which event of its aggregate every event of the ledger is, 4 bytes each."""

    def __init__(self) -> None:
        self._positions = array("L")
        self._counts: Counter[UUID] = Counter()

    @property
    def known(self) -> int:
        """The last sequence whose position is known."""
        return len(self._positions)

    def of(self, recorded: Recorded) -> int:
        """From 1. Events must be shown from the first on, without a gap."""
        if recorded.sequence == self.known + 1:
            self._counts[recorded.aggregate_id] += 1
            self._positions.append(self._counts[recorded.aggregate_id])
        return self._positions[recorded.sequence - 1]


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """NATS_URL says where the ledger is; views and their positions are kept elsewhere."""

    def mapper(
        self, transcoder: Transcoder | None = None, mapper_class: type[Mapper[Any]] | None = None
    ) -> Mapper[Any]:
        return LedgerMapper(transcoder or self.transcoder())

    def application_recorder(self) -> ApplicationRecorder:
        return LedgerRecorder(self._thread)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return LedgerRecorder(self._thread)

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> NoReturn:
        raise _read_only()

    def process_recorder(self) -> ProcessRecorder:
        raise _read_only()

    def close(self) -> None:
        if "_thread" in vars(self):
            self._thread.close()

    @cached_property
    def _thread(self) -> LoopThread:
        return connected(self.env)


class Ledger(Application[UUID]):
    """`Ledger(env={"NATS_URL": ...})`: its `repository`, `events`, `notification_log`, `recorder`."""

    def construct_factory(self, env: Environment) -> LedgerFactory:
        return LedgerFactory(env)


def _notification(recorded: Recorded, version: int) -> Notification:
    return Notification(
        recorded.aggregate_id, version, recorded.envelope.type, recorded.payload, recorded.sequence
    )


def _closing(events: AsyncIterator[Recorded]) -> aclosing[AsyncGenerator[Recorded, None]]:
    """What the ledger gives is a generator, whatever its port promises."""
    return aclosing(cast(AsyncGenerator[Recorded, None], events))


def _read_only() -> NotSupportedError:
    return NotSupportedError("the ledger is read only: ictus alone appends to it")
