"""A case as the demo's page tells it: its part of the chat, its images, its events."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice, zip_longest
from typing import Any, NamedTuple
from uuid import UUID

from commands import objects
from commands.ports import Vault
from domain.case import Case, ImageIngested, ImageSubmitted, Ingestion
from domain.events import CASE, Recorded, fold
from domain.sealed import additional_data
from ictus.demo.clinician import Sent
from ictus.demo.telegram import Message, Telegram
from ictus.wiring import House


class Known(NamedTuple):
    """A sent case and what the ledger holds of it: nothing when no card ever came."""

    sent: Sent
    events: tuple[Recorded, ...]
    case: Case


class Photo(NamedTuple):
    """An image's bytes as sent, and masked unless ingest refused it; `media` is the chat's word."""

    media: dict[str, Any]
    sent: bytes
    masked: bytes | None
    outcome: Ingestion | None


class Story(NamedTuple):
    """A case in full. `begun` is when its first photo left; `photos` are by Telegram file id."""

    known: Known
    begun: datetime
    chat: tuple[Message, ...]
    photos: dict[str, Photo]


async def know(house: House, sent: Sent) -> Known:
    past = await house.books.ledger.load(CASE.name, sent.case_id) if sent.case_id else []
    return Known(sent, tuple(past), fold(CASE, past))


async def tell(house: House, telegram: Telegram, known: Known) -> Story:
    """Reads the chat and the images of a case that has a card."""
    items = {
        await _file_of(house.books.vault, recorded, recorded.event): recorded.event.item
        for recorded in known.events
        if isinstance(recorded.event, ImageSubmitted)
    }
    chat = tuple(_part(await known.sent.person.chat(), known.sent.code, items))
    return Story(
        known=known,
        begun=moment(chat[0].versions[0]) if chat else known.events[0].envelope.time,
        chat=chat,
        photos={
            file_id(message): await _photo(house, telegram, known, items[file_id(message)], message)
            for message in chat
            if file_id(message) in items
        },
    )


def chosen(all_known: Iterable[Known], count_max: int) -> list[Known]:
    """At most so many that have a card, in the order opened; if not all, the newest of every kind."""
    kinds: defaultdict[tuple[object, ...], list[Known]] = defaultdict(list)
    known_cards = [known for known in all_known if known.events]
    known_cards.sort(key=lambda known: known.events[0].sequence)
    for known in reversed(known_cards):
        kinds[_kind(known)].append(known)
    rounds = chain.from_iterable(zip_longest(*kinds.values()))
    taken = {known.sent.code for known in islice(filter(None, rounds), count_max)}
    return [known for known in known_cards if known.sent.code in taken]


def file_id(message: Message) -> str:
    """Of the photo or document that a message shows, the last part of its address; else empty."""
    media = message.versions[0]["media"]
    return str(media["url"]).rsplit("/", 1)[-1] if media else ""


def moment(version: dict[str, Any]) -> datetime:
    """Since when the message stood so."""
    return datetime.fromisoformat(str(version["at"]))


def _kind(known: Known) -> tuple[object, ...]:
    """Single or album, what was answered, whether the cause is known, whether all was usable."""
    case, said = known.case, known.case.prediction
    return (
        known.sent.photos > 1,
        type(said),
        getattr(said, "chosen", None),
        case.label is not None,
        len(case.usable) == len(case.images),
    )


def _part(chat: Iterable[Message], code: str | None, files: dict[str, UUID]) -> Iterator[Message]:
    """From the case's first photo to the next case's, without other cases' cards."""
    begun = False
    for message in chat:
        begun = begun or file_id(message) in files
        if begun and file_id(message) not in {"", *files}:
            return
        if begun and message.code in {None, code}:
            yield message


async def _file_of(vault: Vault, recorded: Recorded, image: ImageSubmitted) -> str:
    """The Telegram file id that the event keeps sealed."""
    address = await vault.unseal(image.file, additional_data(recorded.id, "file"))
    return address.split(":", 1)[1]


async def _photo(
    house: House, telegram: Telegram, known: Known, item: UUID, message: Message
) -> Photo:
    media = message.versions[0]["media"]
    image = known.case.images.get(item)
    outcome = image.outcome if image else None
    masked = None
    if isinstance(outcome, ImageIngested):
        assert known.sent.case_id is not None
        masked = await objects.fetch(
            house.blobs, house.books.vault, known.sent.case_id, outcome.derivative
        )
    return Photo(media, await telegram.file(str(media["url"])), masked, outcome)
