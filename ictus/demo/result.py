"""What came of the demo, measured from the chats and from the ledger, not from what was intended."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from uuid import UUID

from msgspec import Struct

from adapters.datasets.layout import STATEMENT, Manifest
from domain.case import (
    AnswerDelivered,
    ImageIngested,
    ImageQuarantined,
    ImageRejected,
    LabelConfirmed,
    Opened,
)
from domain.events import Event, Recorded
from ictus.demo.clinician import Sent, answers
from ictus.demo.telegram import Message, Person
from ictus.wiring import House


class Result(Struct, frozen=True, kw_only=True):
    """`lost`: photos without exactly one outcome in the ledger, and cases without a card.
    `refused`: cases none of whose images can be used, on which nobody predicts.
    `answered_twice`: cases for which two messages of a chat show an answer.
    Seconds are from the last photo to the first sight of the answer (or thanks)."""

    cases: int
    images: int
    answered: int
    lost: int
    refused: int
    answered_twice: int
    labels_confirmed: int
    dataset_rows: int
    dataset_root: str
    replay_identical: bool
    p50_s: float
    p95_s: float

    def is_whole(self, planned: int, model: bool) -> bool:
        answered = self.answered == (self.cases - self.refused if model else 0)
        kept = self.lost == self.answered_twice == 0 and self.cases >= planned
        return answered and kept and self.replay_identical


async def measure(
    house: House, sent: Sequence[Sent], manifests: Sequence[Manifest], folders: Sequence[Path]
) -> Result:
    people = {one.person.id: one.person for one in sent}
    chats = {person.id: await person.chat() for person in people.values()}
    story = await _story(house, people.values())
    photos = sum(_photos(chat) for chat in chats.values())
    outcomes = Counter(item for item, _ in _outcomes(story))
    waited = [one.waited_s for one in sent if one.waited_s is not None]
    return Result(
        cases=len(sent),
        images=photos,
        answered=len(_cases_with(story, AnswerDelivered)),
        lost=photos
        - len([n for n in outcomes.values() if n == 1])
        + sum(one.code is None for one in sent),
        refused=len(_cases_with(story, Opened) - _cases_with(story, ImageIngested)),
        answered_twice=sum(_answered_twice(chat) for chat in chats.values()),
        labels_confirmed=sum(isinstance(r.event, LabelConfirmed) for r in story),
        dataset_rows=manifests[0].rows,
        dataset_root=manifests[0].root,
        replay_identical=await asyncio.to_thread(_identical, *folders),
        p50_s=round(median(waited), 2) if waited else 0.0,
        p95_s=round(percentile(waited, 0.95), 2) if waited else 0.0,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-len(ordered) * round(share * 100) // 100) - 1)]


async def _story(house: House, people: Iterable[Person]) -> list[Recorded]:
    """The events of the cases that these people opened."""
    vault = house.books.vault
    ids = {await vault.derive("person", "telegram", str(person.id)) for person in people}
    cases: set[UUID] = set()
    story = []
    async for recorded in house.books.ledger.read(0, "case"):
        if isinstance(recorded.event, Opened) and recorded.event.by in ids:
            cases.add(recorded.aggregate_id)
        if recorded.aggregate_id in cases:
            story.append(recorded)
    return story


def _cases_with(story: Iterable[Recorded], kind: type[Event]) -> set[UUID]:
    return {recorded.aggregate_id for recorded in story if isinstance(recorded.event, kind)}


def _outcomes(story: Iterable[Recorded]) -> Iterable[tuple[UUID, Recorded]]:
    for recorded in story:
        match recorded.event:
            case ImageIngested(item=item) | ImageRejected(item=item) | ImageQuarantined(item=item):
                yield item, recorded


def _photos(chat: Iterable[Message]) -> int:
    return sum(not message.by_bot and bool(message.versions[0]["media"]) for message in chat)


def _answered_twice(chat: Iterable[Message]) -> int:
    shown = Counter(message.code for message in chat if message.code and answers(message))
    return sum(count > 1 for count in shown.values())


def _identical(one: Path, other: Path) -> bool:
    """Byte by byte, every file of both folders but the statement, which holds the witness's latest
    checkpoint."""
    files = [
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and path.name != STATEMENT
        }
        for folder in (one, other)
    ]
    return files[0] == files[1]
