"""What ingest recognises the heads of a derivative as: a dataset's rows tell only what was declared."""

from workers.ingest import recognise
from workers.pixels import heads, load


def sequences_in(derivative: bytes) -> tuple[str, ...]:
    """One for each head, in reading order; `mri` where no sequence is certain."""
    gray = load(derivative)
    found = (recognise.sequence_of(gray[y : y + h, x : x + w]) for x, y, w, h in heads(gray))
    return tuple(name or "mri" for name in found)
