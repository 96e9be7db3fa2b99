"""The images of a case that its modality lets the model be asked about."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from commands import objects
from commands.ports import Blobs, Vault
from domain.case import Case
from domain.model import TASK
from domain.stroke import Modality
from workers.modalities import serves


class Fit(NamedTuple):
    """Derivatives by SHA-256, and what each one's heads were recognised as."""

    digests: tuple[str, ...]
    data: list[bytes]
    sequences: Sequence[Sequence[Modality]]


class Images(NamedTuple):
    blobs: Blobs
    vault: Vault

    async def of(self, case_id: UUID, case: Case) -> Fit:
        """Raises Missing, Erased, Unavailable."""
        fit = {image.derivative for image in case.usable if serves(image.sequences, TASK)}
        named = dict(zip(case.inputs, case.sequences, strict=True))
        digests = tuple(digest for digest in case.inputs if digest in fit)
        data = [await objects.fetch(self.blobs, self.vault, case_id, each) for each in digests]
        return Fit(digests, data, [named[digest] for digest in digests])
