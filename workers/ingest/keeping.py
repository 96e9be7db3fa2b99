"""What came of an image is kept, and said as the event that speaks of it."""

from typing import NamedTuple
from uuid import UUID

from commands import objects
from commands.objects import ORIGINALS
from commands.ports import Blobs, Vault
from domain.case import ImageIngested, ImageQuarantined, ImageRejected, ImageSubmitted, Ingestion
from domain.sealed import plain
from workers.ingest.outcome import Ingested, Refused


class Keeping(NamedTuple):
    """Where to keep it, and the full name of the profile by which it was made."""

    vault: Vault
    blobs: Blobs
    profile: str

    async def of(
        self, case: UUID, image: ImageSubmitted, data: bytes, outcome: Ingested | Refused
    ) -> Ingestion:
        """Of what is rejected nothing is kept here; of the rest, the original first."""
        if isinstance(outcome, Refused) and outcome.outcome == "rejected":
            return ImageRejected(item=image.item, reason=outcome.reason, profile=self.profile)
        original = await self._store(case, data, ORIGINALS)
        if isinstance(outcome, Refused):
            return ImageQuarantined(
                item=image.item,
                reason=outcome.reason,
                profile=self.profile,
                original=plain(original),
                modality=outcome.modality,
            )
        await self._store(case, outcome.derivative)
        return self._ingested(image, outcome, original)

    def _ingested(self, image: ImageSubmitted, made: Ingested, original: str) -> ImageIngested:
        return ImageIngested(
            item=image.item,
            modality=image.modality,
            derivative=made.sha256,
            pixels=made.pixel_sha256,
            original=plain(original),
            width=made.width,
            height=made.height,
            source=made.source,
            profile=self.profile,
            phash=made.phash,
            heads=made.head,
            masked_permille=made.masked_permille,
            quality=dict(made.quality),
            warnings=tuple(made.warnings),
            fingerprints=made.fingerprints,
            sequences=made.sequences,
        )

    async def _store(self, case: UUID, data: bytes, folder: str = "") -> str:
        return await objects.store(self.blobs, self.vault, case, data, folder)
