"""WebDataset shards: tar files in which a case's row and images follow each other, always the same.

A sample's key is its case: `<case>.json` is the canonical row, `<case>.0.png` its first image.
"""

import tarfile
from io import BytesIO
from pathlib import Path
from typing import Self

from adapters.datasets.layout import SHARDS, image_name

SHARD_ROWS_MAX = 1000


class Shards:
    """`shards/<split>-<number>.tar`, each of so many rows at most."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / SHARDS
        self._folder.mkdir()
        self._open: dict[str, tarfile.TarFile] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for shard in self._open.values():
            shard.close()

    def add(self, case: str, split: str, line: bytes, pictures: list[tuple[str, bytes]]) -> None:
        """`pictures` are (sha256, bytes) in the order of the row."""
        shard = self._shard(split)
        _put(shard, f"{case}.json", line)
        for number, (digest, data) in enumerate(pictures):
            _, extension = image_name(digest, data).split(".")
            _put(shard, f"{case}.{number}.{extension}", data)

    def _shard(self, split: str) -> tarfile.TarFile:
        """The one that the next row of this split goes into."""
        number, place = divmod(self._rows.get(split, 0), SHARD_ROWS_MAX)
        self._rows[split] = self._rows.get(split, 0) + 1
        if place == 0:
            if split in self._open:
                self._open[split].close()
            name = self._folder / f"{split}-{number:05}.tar"
            self._open[split] = tarfile.open(name, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        return self._open[split]


def _put(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    """Of nobody, from 1970: a fresh TarInfo knows no owner and no time."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    shard.addfile(member, BytesIO(data))
