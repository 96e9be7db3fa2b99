"""Recording that a dataset was built."""

from uuid import UUID, uuid5

from commands.transact import Books, transact
from domain import dataset as datasets
from domain.events import DATASET, Request

DATASET_SPACE = UUID("a0c7b3c7-53b3-5a0e-a2c3-5d2f7f4d3b52")


def dataset_id(root: str) -> UUID:
    """A dataset is named by its Merkle root."""
    return uuid5(DATASET_SPACE, root)


async def record_build(books: Books, request: Request, built: datasets.Built) -> bool:
    return await transact(
        books,
        request,
        DATASET,
        dataset_id(built.root),
        lambda state: datasets.record_build(state, built),
    )
