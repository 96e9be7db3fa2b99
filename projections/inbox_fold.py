"""What events do to the rows of the inbox: each row once a batch, however much happened to it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from domain.case import (
    AnswerComposed,
    AnswerDelivered,
    CardPlaced,
    Erased,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    ImagesMoved,
    ImageSubmitted,
    Label,
    LabelConfirmed,
    LabelRevised,
    Linked,
    Opened,
    PredictionDeclined,
    PredictionProduced,
    Withdrawn,
)
from domain.events import Recorded
from domain.identity import Instant
from domain.stroke import Cause


class Case(Struct):
    """A row of `cases`, in its columns' order."""

    case_id: UUID | str
    code: str
    site: str
    person: UUID
    opened_at: Instant
    prediction: UUID | None = None
    top: Cause | None = None
    top_permille: int | None = None
    abstained: bool = False
    answer: UUID | None = None
    answered: bool = False
    label: Cause | None = None
    withdrawn: bool = False
    erased: bool = False
    imported: bool = False

    def outdate(self) -> None:
        self.answer, self.answered = None, False


class Image(Struct):
    """A row of `images`, in its columns' order."""

    case_id: str
    item: UUID
    sequence: int
    sent_at: Instant
    outcome: str | None = None


class Fold:
    """What a batch of events does to the rows. `cases` are those, by id, that were there before.

    Images are `removed` first, then `submitted`, then `settled`: what left may have come back.
    """

    def __init__(self, cases: dict[str, Case]) -> None:
        self.cases = cases
        self.removed: list[tuple[str, UUID]] = []
        self.submitted: dict[tuple[str, UUID], Image] = {}
        self.settled: dict[tuple[str, UUID], str] = {}
        self.cards: dict[UUID, str] = {}
        self.links: set[tuple[str, UUID]] = set()

    def see(self, recorded: Recorded) -> None:
        if change := CHANGES.get(type(recorded.event)):
            change(self, case_of(recorded), recorded, recorded.event)

    def settle(self, case: str, item: UUID, outcome: str) -> None:
        if submitted := self.submitted.get((case, item)):
            submitted.outcome = outcome
        else:
            self.settled[case, item] = outcome

    def remove(self, case: str, item: UUID) -> None:
        self.submitted.pop((case, item), None)
        self.settled.pop((case, item), None)
        self.removed.append((case, item))


def changed_cases(batch: Sequence[Recorded]) -> set[str]:
    """Whose rows must be known: not of those that are opened in the same batch."""
    opened = {case_of(one) for one in batch if type(one.event) is Opened}
    return {case_of(one) for one in batch if type(one.event) in OF_OLD_CASES} - opened


def case_of(recorded: Recorded) -> str:
    """The id as the subject says it: text is compared faster than a UUID is made."""
    return recorded.envelope.subject.partition("/")[2]


def _open(fold: Fold, case: str, recorded: Recorded, event: Opened) -> None:
    time = recorded.envelope.time
    imported = event.origin == "import"
    fold.cases[case] = Case(case, event.code, event.site, event.by, time, imported=imported)


def _submit(fold: Fold, case: str, recorded: Recorded, event: ImageSubmitted) -> None:
    image = Image(case, event.item, recorded.sequence, event.sent)
    fold.submitted[case, event.item] = image


def _ingest(fold: Fold, case: str, recorded: Recorded, event: ImageIngested) -> None:
    fold.settle(case, event.item, "usable")
    fold.cases[case].outdate()


def _reject(fold: Fold, case: str, recorded: Recorded, event: ImageRejected) -> None:
    fold.settle(case, event.item, "rejected")


def _quarantine(fold: Fold, case: str, recorded: Recorded, event: ImageQuarantined) -> None:
    fold.settle(case, event.item, "quarantined")


def _move(fold: Fold, case: str, recorded: Recorded, event: ImagesMoved) -> None:
    for item in event.items if event.direction == "out" else ():
        fold.remove(case, item)


def _predict(fold: Fold, case: str, recorded: Recorded, event: PredictionProduced) -> None:
    row = fold.cases[case]
    row.prediction, (row.top, row.top_permille) = recorded.id, event.ranked[0]
    row.abstained = len(event.chosen) != 1
    row.outdate()


def _decline(fold: Fold, case: str, recorded: Recorded, event: PredictionDeclined) -> None:
    row = fold.cases[case]
    row.prediction, row.top, row.top_permille, row.abstained = recorded.id, None, None, True
    row.outdate()


def _compose(fold: Fold, case: str, recorded: Recorded, event: AnswerComposed) -> None:
    if fold.cases[case].prediction == event.prediction:
        fold.cases[case].answer = recorded.id


def _deliver(fold: Fold, case: str, recorded: Recorded, event: AnswerDelivered) -> None:
    if fold.cases[case].answer == event.answer:
        fold.cases[case].answered = True


def _place(fold: Fold, case: str, recorded: Recorded, event: CardPlaced) -> None:
    fold.cards[event.card] = case


def _label(fold: Fold, case: str, recorded: Recorded, event: Label) -> None:
    fold.cases[case].label = event.cause


def _link(fold: Fold, case: str, recorded: Recorded, event: Linked) -> None:
    fold.links.add((case, event.other))


def _withdraw(fold: Fold, case: str, recorded: Recorded, event: Withdrawn) -> None:
    fold.cases[case].withdrawn = True


def _erase(fold: Fold, case: str, recorded: Recorded, event: Erased) -> None:
    fold.cases[case].erased = True


Change = Callable[[Fold, str, Recorded, Any], None]

# Looked up, since `match` asks one class after the other and a rebuild has millions of events.
OF_OLD_CASES: Mapping[type, Change] = {
    ImageIngested: _ingest,
    PredictionProduced: _predict,
    PredictionDeclined: _decline,
    AnswerComposed: _compose,
    AnswerDelivered: _deliver,
    LabelConfirmed: _label,
    LabelRevised: _label,
    Withdrawn: _withdraw,
    Erased: _erase,
}
CHANGES: Mapping[type, Change] = {
    **OF_OLD_CASES,
    Opened: _open,
    ImageSubmitted: _submit,
    ImageRejected: _reject,
    ImageQuarantined: _quarantine,
    ImagesMoved: _move,
    CardPlaced: _place,
    Linked: _link,
}
