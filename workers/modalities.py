"""The modality table: what is done with each kind of picture, predicted from it, and told to its sender.

Ingest asks it what to keep, inference what to predict from, the texts what to say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.case import Reason
from domain.model import TASK
from domain.stroke import Modality

if TYPE_CHECKING:
    from workers.pixels import Gray

Prepare = Callable[["Gray"], "Gray"]
"""A head's kept pixels (0 blanked, anatomy at least 1) to those of the derivative, of the same shape."""


class Row(NamedTuple):
    """A change of `prepare` raises `version`."""

    prepare: Prepare | None = None
    """None: recognised and kept, restricted, but not used yet."""
    version: int = 1
    tasks: tuple[str, ...] = ()
    """What may be predicted from it."""
    says: str = ""
    """The text that tells its sender why it is not used."""


def as_it_is(head: "Gray") -> "Gray":
    """Grey as the viewer showed it."""
    return head


MODALITIES: Final[dict[Modality, Row]] = {
    "mri": Row(as_it_is, tasks=(TASK,)),
    "mri-dwi": Row(as_it_is, tasks=(TASK,)),
    "mri-adc": Row(as_it_is, tasks=(TASK,)),
    "mri-flair": Row(as_it_is, tasks=(TASK,)),
    "mri-t1": Row(as_it_is, tasks=(TASK,)),
    "mri-t2": Row(as_it_is, tasks=(TASK,)),
    "ct": Row(says="kept-ct"),
    "ecg": Row(says="kept-ecg"),
    "report": Row(says="kept-report"),
}


def used() -> tuple[str, ...]:
    """The modalities that are ingested, each with the version of what is done with it."""
    return tuple(f"{name}@{row.version}" for name, row in MODALITIES.items() if row.prepare)


def serves(sequences: tuple[Modality, ...], task: str) -> bool:
    """Whether a task may be predicted from heads of these sequences; older images do not name any."""
    return all(task in MODALITIES[name].tasks for name in sequences)


def coaching_key(reason: Reason, modality: Modality | None = None) -> str:
    """The text for whoever sent what is not used: why, and what to do."""
    says = MODALITIES[modality].says if modality else ""
    return says or f"rejected-{reason}"
