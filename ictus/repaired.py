"""What a repair found, and what it did; where each reader of the ledger goes on afterwards."""

from collections.abc import Mapping
from uuid import UUID

from msgspec import Struct

from workers import answer
from workers.inference import schedule
from workers.ingest import worker as ingest
from workers.witness.audit import Finding, Report
from workers.witness.repair import Plan

DURABLE_SUBJECTS = {
    ingest.ROLE: ingest.SUBJECTS,
    schedule.ROLE: schedule.SUBJECTS,
    answer.ROLE: answer.SUBJECTS,
}
"""Every durable consumer of the ledger, by name, and what it reads."""


class Outcome(Struct, frozen=True):
    """What was done, and whether the ledger is whole now.

    `archived` events came from the archive and `tail` from the damaged stream; `damaged` is where
    its store lies now, empty when nothing had to be done. `lost` are the first and the last
    sequence that were acknowledged, as far as is known, and are not in the ledger any more.
    `forked` is the first sequence, 0 if none, at which the stream held another event than the one
    that was witnessed. `emptied` names other streams that were gone and are empty now. `before` and
    `after` is what the audit found.
    """

    whole: bool
    ledger: UUID
    events: int
    archived: int
    tail: int = 0
    lost: tuple[int, int] | None = None
    forked: int = 0
    damaged: str = ""
    emptied: tuple[str, ...] = ()
    durables: dict[str, int] = {}
    before: tuple[Finding, ...] = ()
    after: tuple[Finding, ...] = ()


class Remains(Struct, frozen=True):
    """What the server gave before anything was changed; `report` is None without a ledger."""

    streams: frozenset[str] = frozenset()
    report: Report | None = None
    plan: Plan | None = None
    durables: dict[str, int] = {}

    @property
    def findings(self) -> tuple[Finding, ...]:
        missing = Finding("stream", 1, "the ledger's stream is missing")
        return self.report.findings if self.report else (missing,)


class Kept(Struct, frozen=True):
    """What Postgres knows: positions of durables, and the last sequence anybody has seen."""

    durables: dict[str, int]
    known: int


def untouched(report: Report) -> Outcome:
    return Outcome(
        whole=report.whole,
        ledger=report.ledger,
        events=report.head,
        archived=report.witnessed,
        before=report.findings,
        after=report.findings,
    )


def latest(saved: Mapping[str, int], live: Mapping[str, int], head: int) -> dict[str, int]:
    """The saved position of each durable, or the one in the store where that is further and
    possible: what was acknowledged after the last checkpoint was not saved."""
    possible = {name: at for name, at in live.items() if at <= head}
    return {
        name: max(saved.get(name, 0), possible.get(name, 0))
        for name in DURABLE_SUBJECTS
        if name in saved or name in possible
    }


def lost_of(plan: Plan, known: int) -> tuple[int, int] | None:
    if plan.forked:
        return plan.forked, max(known, plan.head)
    return (plan.head + 1, known) if known > plan.head else None
