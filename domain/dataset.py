"""A dataset that was built from the ledger: which rows, as of when, with which root."""

from typing import assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.happened import Happened

NAME = "dataset"


# Events


class Built(Happened, frozen=True, tag="dataset.built.v1"):
    """`root` (hex) is the Merkle root over canonical rows, `as_of` the last sequence read,
    `head_sha256` the hash of that event's payload."""

    root: str
    rows: int
    as_of: int
    head_sha256: str
    spec_sha256: str
    projector: str


DatasetEvent = Built


# State


class Dataset(Struct, frozen=True):
    builds: tuple[Built, ...] = ()


def evolve(dataset: Dataset, event: DatasetEvent, event_id: UUID) -> Dataset:
    match event:
        case Built():
            return replace(dataset, builds=(*dataset.builds, event))
        case _:
            assert_never(event)


# Decisions


def record_build(dataset: Dataset, built: Built) -> list[DatasetEvent]:
    return [] if built in dataset.builds else [built]
