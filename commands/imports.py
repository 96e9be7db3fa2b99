"""Taking in cases that exist already, by the same commands as the bot's.

A case, its patient and its rater get ids derived under the ledger's id key from what their site calls
them, so the words themselves are kept nowhere and the same row always means the same case. Every
statement of a row (an image, the facts, the label) is one request, named by what it says: said
again, it changes nothing, also after somebody else has said otherwise.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from commands import cases, objects
from commands.objects import ORIGINALS
from commands.ports import Blobs
from commands.transact import Books, from_outside
from domain import case as decisions
from domain.case import Case, Fact, LabelConfirmed
from domain.errors import IsErased, Refused
from domain.events import CASE, Request, fold
from domain.identity import Instant, event_id
from domain.stroke import Cause, Confidence, Evidence, Modality, Stage

ROLE = "import"


class Changed(Refused):
    """The file changed while it was taken in."""


class AnotherPatient(Refused):
    """This case was taken in for another patient."""


class IsWithdrawn(Refused):
    """This case was withdrawn: nothing new comes into it."""


class Label(Struct, frozen=True, kw_only=True):
    """`rater` is the site's own word for who said it, on the day `at`."""

    cause: Cause
    level: int
    evidence: tuple[Evidence, ...]
    rater: str
    stage: Stage | None = None
    confidence: Confidence | None = None
    at: date | None = None


class Existing(Struct, frozen=True, kw_only=True):
    """A case as its site knows it: `key` and `patient` are the site's own words, unique there. Without
    a `patient` it is nobody else's case. `taken` is the day of the images."""

    site: str
    key: str
    patient: str = ""
    taken: date | None = None
    facts: tuple[Fact, ...] = ()
    label: Label | None = None


class Picture(NamedTuple):
    """An image file: SHA-256 of its bytes in hex, and how to read them when they are needed."""

    digest: str
    modality: Modality
    read: Callable[[], Awaitable[bytes]]


Facts = tuple[Fact, ...]
Pictures = Sequence[Picture]


class Place(NamedTuple):
    """Where a row goes: the ids that stand for its words, and what has happened there."""

    case: UUID
    patient: UUID
    by: UUID
    label: LabelConfirmed | None
    state: Case
    events: frozenset[UUID]

    def was_said(self, request: UUID) -> bool:
        return event_id(request, CASE.name, self.case, 0) in self.events


async def place_of(books: Books, existing: Existing) -> Place:
    """Raises AnotherPatient, IsErased, Unavailable."""
    site = existing.site
    derive = books.vault.derive
    case = await derive("import-case", site, existing.key)
    past = await books.ledger.load(CASE.name, case)
    place = Place(
        case=case,
        patient=await _patient(books, existing, case),
        by=await derive("importer", site),
        label=await _label(books, existing),
        state=fold(CASE, past),
        events=frozenset(recorded.id for recorded in past),
    )
    if place.state.closed:
        raise IsErased
    if place.state.opened and place.state.opened.patient != place.patient:
        raise AnotherPatient
    return place


async def brings_news(books: Books, place: Place, facts: Facts, pictures: Pictures) -> bool:
    """Whether `take_in` would change anything; it changes nothing itself. Raises IsWithdrawn."""
    news = await _is_news(books, place, facts, pictures)
    if news and place.state.withdrawn:
        raise IsWithdrawn
    return news


async def _is_news(books: Books, place: Place, facts: Facts, pictures: Pictures) -> bool:
    state = place.state
    if state.opened is None or any([await _is_new(books, place, each) for each in pictures]):
        return True
    requests = await _requests(books, place, facts)
    told = bool(facts) and decisions.give_context(state, facts, place.by)
    labelled = place.label and decisions.record_label(state, place.label, place.by)
    return any(
        decided and not place.was_said(request.id)
        for decided, request in zip((told, labelled), requests, strict=True)
    )


async def take_in(
    books: Books, blobs: Blobs, existing: Existing, place: Place, pictures: Pictures
) -> bool:
    """Does what is not done yet, in the order of the row; False when all was so already. What broke
    off goes on where it stopped. Raises Refused, Unavailable, Erased."""
    news = [
        await _submit(books, blobs, existing, place, picture, "album" if number else "first")
        for number, picture in enumerate(pictures)
        if await _is_new(books, place, picture)
    ]
    tell, say = await _requests(books, place, existing.facts)
    if existing.facts:
        news.append(await cases.give_context(books, tell, place.case, existing.facts, place.by))
    if place.label:
        news.append(await cases.record_label(books, say, place.case, place.label, place.by))
    return any(news)


async def _submit(
    books: Books,
    blobs: Blobs,
    existing: Existing,
    place: Place,
    picture: Picture,
    joined: decisions.Joined,
) -> bool:
    """The original is kept before the event that speaks of it, so that no event lacks its image."""
    data = await picture.read()
    if sha256(data).hexdigest() != picture.digest:
        raise Changed
    digest = await objects.store(blobs, books.vault, place.case, data, ORIGINALS)
    request = await _request(books, place, "image", digest)
    return await cases.submit_image(
        books,
        request,
        place.case,
        item=await _item(books, place, picture),
        by=place.by,
        site=existing.site,
        origin="import",
        channel="file",
        joined=joined,
        sent=_midnight(existing.taken) if existing.taken else request.time,
        address=objects.kept_address(place.case, digest),
        modality=picture.modality,
        patient=place.patient,
    )


async def _is_new(books: Books, place: Place, picture: Picture) -> bool:
    item = await _item(books, place, picture)
    return item not in place.state.images and item not in place.state.moved_out


async def _item(books: Books, place: Place, picture: Picture) -> UUID:
    """By what the file holds, so that it may be renamed."""
    return await books.vault.derive("import-item", str(place.case), picture.digest)


async def _requests(books: Books, place: Place, facts: Facts) -> tuple[Request, Request]:
    """Of telling these facts, and of saying this label."""
    return (
        await _request(books, place, "facts", msgspec.json.encode(facts).decode()),
        await _request(books, place, "label", msgspec.json.encode(place.label).decode()),
    )


async def _request(books: Books, place: Place, *words: str) -> Request:
    id_ = await books.vault.derive("import-request", str(place.case), *words)
    return from_outside(books, id_, "system", ROLE)


def _midnight(day: date) -> Instant:
    return datetime.combine(day, time(), UTC)


async def _patient(books: Books, existing: Existing, case: UUID) -> UUID:
    if not existing.patient:
        return await books.vault.derive("patient", str(case))
    return await books.vault.derive("import-patient", existing.site, existing.patient)


async def _label(books: Books, existing: Existing) -> LabelConfirmed | None:
    label = existing.label
    if label is None:
        return None
    return LabelConfirmed(
        cause=label.cause,
        level=label.level,
        evidence=label.evidence,
        rater=await books.vault.derive("import-rater", existing.site, label.rater),
        blinded=True,
        stage=label.stage,
        confidence=label.confidence,
        at=label.at,
    )
