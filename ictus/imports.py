"""From a manifest's rows and a folder of images to cases in the ledger: one outcome per row."""

import asyncio
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal
from uuid import UUID

from msgspec import Struct

from adapters.manifest import Row
from adapters.storage.streams import LEDGER
from commands import imports
from commands.imports import Picture
from commands.ports import Erased, Queue, Unavailable
from domain.errors import Refused
from domain.identity import case_code
from domain.stroke import Modality
from ictus.wiring import House
from workers.ingest import worker as ingest
from workers.ingest.outcome import Stop
from workers.ingest.sniff import IMAGE_BYTES_MAX, sniff

CONCURRENT_ROWS_MAX = 8
"""Each holds one image at a time, and commits made together share a sync of the disk."""

IMAGES_AHEAD_MAX = 16
"""As many wait for ingest at most before the next rows: a photo sent meanwhile stands behind few."""

LOOK_SECONDS = 0.5
IDLE_SECONDS_MAX = 20.0
"""An ingest that has done nothing for so long is not at work."""

WRITTEN = ("imported", "already-there", "ready")


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one row; `ready` is what a dry run says of a row that would be imported.
    `reason` is a word, `file` the image it speaks of, `told` a sentence."""

    line: int
    key: str
    outcome: Literal["imported", "already-there", "ready", "refused", "failed"]
    reason: str = ""
    file: str = ""
    told: str = ""
    case: UUID | None = None
    code: str = ""


class BadImage(Exception):
    """This image cannot be taken in."""

    def __init__(self, reason: str, file: str, told: str) -> None:
        super().__init__(told)
        self.reason, self.file = reason, file


async def import_rows(
    house: House, rows: Sequence[Row], folder: Path, dry_run: bool, tell: Callable[[Outcome], None]
) -> None:
    """Takes rows in, in their order, some side by side; tells what became of each.

    Raises Unavailable as soon as a part is away: what was told is done, and repeating goes on there.
    """
    pace = Pace(house.queue)
    for start in range(0, len(rows), CONCURRENT_ROWS_MAX):
        if not dry_run:
            await pace.keep()
        window = rows[start : start + CONCURRENT_ROWS_MAX]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_outcome(house, row, folder, dry_run)) for row in window]
        for task in tasks:
            tell(task.result())


class Pace:
    """Stays a few images ahead of ingest where that is at work; where it is not, they wait for it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._backlog, self._moved = 0, 0.0

    async def keep(self) -> None:
        while (backlog := await self._queue.backlog(LEDGER, ingest.ROLE)) > IMAGES_AHEAD_MAX:
            now = asyncio.get_running_loop().time()
            if backlog < self._backlog or not self._moved:
                self._moved = now
            self._backlog = backlog
            if now > self._moved + IDLE_SECONDS_MAX:
                return
            await asyncio.sleep(LOOK_SECONDS)


async def _outcome(house: House, row: Row, folder: Path, dry_run: bool) -> Outcome:
    try:
        return await _import(house, row, folder, dry_run)
    except Unavailable:
        raise
    except BadImage as bad:
        return _not_taken(row, "refused", bad.reason, str(bad), bad.file)
    except Erased:
        return _not_taken(row, "refused", "erased", "This case was erased.")
    except Refused as refused:
        return _not_taken(row, "refused", _word(type(refused)), str(refused))
    except Exception as bug:  # noqa: BLE001  the boundary: one bad row must not stop the rest
        return _not_taken(row, "failed", _word(type(bug)), str(bug))


async def _import(house: House, row: Row, folder: Path, dry_run: bool) -> Outcome:
    books, existing = house.books, row.existing
    pictures = [
        await asyncio.to_thread(_picture, folder, file, modality) for file, modality in row.images
    ]
    place = await imports.place_of(books, existing)
    news = await imports.brings_news(books, place, existing.facts, pictures)
    if news and not dry_run:
        await imports.take_in(books, house.blobs, existing, place, pictures)
    return Outcome(
        line=row.line,
        key=existing.key,
        outcome="already-there" if not news else "ready" if dry_run else "imported",
        case=place.case,
        code=case_code(place.case),
    )


def _picture(folder: Path, file: str, modality: Modality) -> Picture:
    """Looks at the file as ingest will do first. Raises BadImage, OSError."""
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise BadImage("outside", file, "It leads out of the folder that --images names.")
    if not path.is_file():
        raise BadImage("no-file", file, "There is no such file.")
    if path.stat().st_size > IMAGE_BYTES_MAX:
        raise BadImage("too-large", file, f"It has more than {IMAGE_BYTES_MAX} bytes.")
    data = path.read_bytes()
    try:
        sniff(data)
    except Stop as stop:
        reason = stop.refused.reason
        raise BadImage(reason, file, "It must be a JPEG, PNG or WebP image.") from None

    async def read() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return Picture(sha256(data).hexdigest(), modality, read)


def _not_taken(
    row: Row, outcome: Literal["refused", "failed"], reason: str, told: str, file: str = ""
) -> Outcome:
    return Outcome(
        line=row.line,
        key=row.existing.key,
        outcome=outcome,
        reason=reason,
        file=file,
        told=told,
    )


def _word(kind: type[Exception]) -> str:
    """`AnotherPatient` as `another-patient`, `IsErased` as `erased`."""
    name = kind.__name__.removeprefix("Is")
    return re.sub(r"(?<!^)(?=[A-Z][a-z])", "-", name).lower()
