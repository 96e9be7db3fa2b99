"""Two datasets, each named by a moment of the ledger or by the folder it was built into, compared."""

from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from commands.ports import Damaged
from domain.errors import Refused
from ictus.wiring import House
from projections.builder import Progress
from projections.differences import Differences, Side, differences
from projections.rows import PROJECTOR_VERSION
from projections.spec import Spec

MANIFEST = "manifest.json"


class Folder(Struct, frozen=True):
    """As much of a folder's manifest as a comparison needs."""

    root: str
    as_of: int
    spec: Spec
    projector: str
    ledger: UUID

    @property
    def side(self) -> Side:
        return Side(self.as_of, self.spec)


def read_folder(path: Path) -> Folder:
    """Raises Damaged."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Folder)
    except (OSError, msgspec.DecodeError) as error:
        raise Damaged(f"{path} cannot be read as a dataset: {error}") from error


async def compare(
    house: House, a: Folder | Side, b: Folder | Side, progress: Progress
) -> Differences:
    """Raises Refused for a folder of another ledger or of another program, Damaged for one whose
    root the ledger does not give, Unavailable."""
    ledger = (await house.books.ledger.head()).ledger
    for folder in (a, b):
        if isinstance(folder, Folder):
            must_be_comparable(folder, ledger)
    one, two = (each.side if isinstance(each, Folder) else each for each in (a, b))
    found = await differences(house.books.ledger, one, two, progress)
    for each, root in ((a, found.root_a), (b, found.root_b)):
        if isinstance(each, Folder) and each.root != root:
            raise Damaged(f"the dataset with root {each.root} has the root {root} in this ledger")
    return found


def must_be_comparable(folder: Folder, ledger: UUID) -> None:
    if folder.ledger != ledger:
        raise Refused(f"A dataset of ledger {folder.ledger}, and this is ledger {ledger}.")
    if folder.projector != PROJECTOR_VERSION:
        raise Refused(
            f"A dataset made by {folder.projector}, and this program makes {PROJECTOR_VERSION}:"
            " build it anew."
        )
