"""When to predict: some seconds after a case last changed, by a durable schedule.

Photos of one album come within moments of each other; each moves the start of inference a little,
so that one prediction sees them all. Nothing is kept in memory: the schedule lives in JetStream.
"""

from typing import NamedTuple
from uuid import UUID

from commands.ports import Ledger, Queue
from domain.case import (
    ContextGiven,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImagesMoved,
    Opened,
    PredictionProduced,
)
from domain.events import CASE, Recorded
from domain.identity import part
from domain.model import Promoted
from workers.reactor import Done, Ignored, Outcome

ROLE = "schedule"
SETTLE_SECONDS = 1.0
DUE_ROOT = "ictus.sched.due.inference"
SUBJECTS = (
    "ictus.ev.*.case.*.image-ingested",
    "ictus.ev.*.case.*.image-rejected",
    "ictus.ev.*.case.*.image-quarantined",
    "ictus.ev.*.case.*.images-moved",
    "ictus.ev.*.case.*.context-given",
    "ictus.ev.*.model.*.promoted",
)


class Schedule(NamedTuple):
    ledger: Ledger
    queue: Queue

    async def react(self, recorded: Recorded) -> Outcome:
        match recorded.event:
            case (
                ImageIngested()
                | ImageRejected()
                | ImageQuarantined()
                | ImagesMoved()
                | ContextGiven()
            ):
                await self._schedule(recorded.aggregate_id)
            case Promoted():
                await self._schedule_waiting()
            case _:
                return Ignored()
        return Done()

    async def _schedule(self, case: UUID) -> None:
        target = f"{DUE_ROOT}.{part(case)}.case.{case}"
        await self.queue.schedule(f"inference.{case}", SETTLE_SECONDS, target, b"due")

    async def _schedule_waiting(self) -> None:
        """A model now answers: every case that has images and was never predicted is due, but for
        those that were taken in from existing data."""
        waiting: dict[UUID, None] = {}
        imported: set[UUID] = set()
        async for recorded in self.ledger.read(0, CASE.name):
            match recorded.event:
                case Opened(origin="import"):
                    imported.add(recorded.aggregate_id)
                case ImageIngested() if recorded.aggregate_id not in imported:
                    waiting[recorded.aggregate_id] = None
                case PredictionProduced():
                    waiting.pop(recorded.aggregate_id, None)
        for case in waiting:
            await self._schedule(case)
