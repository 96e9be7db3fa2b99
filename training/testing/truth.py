"""What is known of made-up cases beyond their rows: `truth.ndjson` beside a dataset's rows."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

TRUTH_FILE = "truth.ndjson"


class Truth(Struct, frozen=True, kw_only=True):
    """`lesion_ml` is the volume of the lesion, `layout` the viewer it was shown in, `oracle` the
    permille of the positive cause that who knows the table of frequencies would give for pattern and
    atrial fibrillation, `ceiling` for all that depends on the cause; `lesions` the pixels of lesion on
    each derivative, by its SHA-256."""

    case: str
    pattern: str = ""
    lesion_ml: float | None = None
    layout: str = ""
    oracle: int | None = None
    ceiling: int | None = None
    lesions: dict[str, int] = {}


def write_truth(folder: Path, truths: Iterable[Truth]) -> None:
    lines = (msgspec.json.encode(truth, order="sorted") + b"\n" for truth in truths)
    (folder / TRUTH_FILE).write_bytes(b"".join(lines))


def read_truth(folder: Path) -> dict[str, Truth]:
    """By case; empty where there is none, as for every case from life."""
    file = folder / TRUTH_FILE
    if not file.exists():
        return {}
    known = [msgspec.json.decode(line, type=Truth) for line in file.read_bytes().splitlines()]
    return {truth.case: truth for truth in known}
