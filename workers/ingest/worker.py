"""Ingest: an image was submitted; fetch it, de-identify it, keep it, say what came of it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec.structs import replace

from commands import cases, objects
from commands.ports import Blobs, Missing, Photos, TooLarge
from commands.transact import Books, because
from domain.case import ImageRejected, ImageSubmitted, Ingestion, Reason
from domain.events import Recorded
from domain.identity import reaction
from domain.sealed import additional_data
from workers.ingest.keeping import Keeping
from workers.ingest.pipeline import PROFILE, Ingested, Refused
from workers.reactor import Done, Ignored, Outcome

ROLE = "ingest"
SUBJECTS = ("ictus.ev.*.case.*.image-submitted",)


class Ingest(NamedTuple):
    """The worker's means. `process` turns bytes into an outcome, away from the event loop."""

    books: Books
    blobs: Blobs
    photos: Photos
    process: Callable[[bytes], Awaitable[Ingested | Refused]]

    async def react(self, recorded: Recorded) -> Outcome:
        """One image-submitted event gets exactly one outcome."""
        if not isinstance(recorded.event, ImageSubmitted):
            return Ignored()
        item = recorded.event.item
        case = await cases.load(self.books, recorded.aggregate_id)
        if item in case.waiting or item in case.given_up:
            return await self._record(recorded, await self._ingest(recorded, recorded.event))
        image = case.images.get(item)
        if image and isinstance(image.outcome, ImageRejected):
            await self._forget(recorded, recorded.event)
        return Ignored()

    async def give_up(self, recorded: Recorded) -> None:
        """The image failed again and again: the clinician is told, the letter is kept."""
        if isinstance(recorded.event, ImageSubmitted):
            await self._record(recorded, _rejected(recorded.event, "failed"), f"{ROLE}/failed")

    async def _record(self, recorded: Recorded, outcome: Ingestion, act: str = ROLE) -> Outcome:
        """Giving up is an act of its own, so that the image may be ingested after all."""
        request = replace(because(self.books, recorded, ROLE), id=reaction(recorded.id, act))
        done = await cases.record_ingestion(self.books, request, recorded.aggregate_id, outcome)
        if isinstance(recorded.event, ImageSubmitted) and _is_final_rejection(outcome):
            await self._forget(recorded, recorded.event)
        return Done() if done else Ignored()

    async def _forget(self, recorded: Recorded, image: ImageSubmitted) -> None:
        """Nothing of a rejected image is kept; after its event, so that a crash between is mended."""
        address = await self._address(recorded, image)
        if objects.is_kept(address):
            await objects.forget_kept(self.blobs, address)

    async def _address(self, recorded: Recorded, image: ImageSubmitted) -> str:
        return await self.books.vault.unseal(image.file, additional_data(recorded.id, "file"))

    async def _fetch(self, address: str) -> bytes:
        if objects.is_kept(address):
            return await objects.fetch_kept(self.blobs, self.books.vault, address)
        return await self.photos.fetch(address)

    async def _ingest(self, recorded: Recorded, image: ImageSubmitted) -> Ingestion:
        try:
            data = await self._fetch(await self._address(recorded, image))
        except Missing:
            return _rejected(image, "source-gone")
        except TooLarge:
            return _rejected(image, "too-large")
        outcome = await self.process(data)
        keeping = Keeping(self.books.vault, self.blobs, PROFILE)
        return await keeping.of(recorded.aggregate_id, image, data, outcome)


def _is_final_rejection(outcome: Ingestion) -> bool:
    """What ingest failed at may yet be ingested, so it is kept."""
    return isinstance(outcome, ImageRejected) and outcome.reason != "failed"


def _rejected(image: ImageSubmitted, reason: Reason) -> ImageRejected:
    return ImageRejected(item=image.item, reason=reason, profile=PROFILE)
