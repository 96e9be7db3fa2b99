"""Which examinations a case calls for, and in which order: never a drug, only what to look for."""

from collections.abc import Mapping
from operator import itemgetter
from uuid import UUID

from msgspec import Struct

from domain.case import Prediction, PredictionDeclined, PredictionProduced
from domain.examination import Added, Block, Examination, Revised
from domain.stroke import Answer

BOTH: tuple[Block, ...] = ("cardioembolic", "large-artery")


class Advice(Struct, frozen=True):
    """One examination at the revision that was shown; `priority` 1 now, 2 this admission, 3 later."""

    id: UUID
    revision: int
    priority: int


def choose(
    catalogue: Mapping[UUID, Examination], prediction: Prediction | None, af: Answer
) -> tuple[Advice, ...]:
    """All examinations worth a look, most relevant to the predicted cause first, then by priority.

    The first ones are for the card. A row with a condition is listed behind all others, because
    the case's data cannot decide it. What only looks for atrial fibrillation falls away once that
    is known.
    """
    wanted = wanted_blocks(prediction)
    ranked = [
        (_rank(examination.code, text, wanted), Advice(key, examination.revision, text.priority))
        for key, examination in catalogue.items()
        if not examination.retired and (text := examination.text) and af in text.when.af
    ]
    return tuple(advice for _, advice in sorted(ranked, key=itemgetter(0)))


def abstains(prediction: PredictionProduced) -> bool:
    """The model could not tell the causes apart."""
    return len(prediction.chosen) != 1


def wanted_blocks(prediction: Prediction | None) -> tuple[Block, ...]:
    """The blocks of the predicted cause, and both where nothing was told."""
    match prediction:
        case PredictionProduced(chosen=("cardioembolic",)):
            return ("cardioembolic",)
        case PredictionProduced(chosen=("large-artery",)):
            return ("large-artery",)
        case PredictionDeclined(reason="not-applicable"):
            return ("small-vessel",)
        case _:
            return BOTH


def _rank(
    code: str, text: Added | Revised, wanted: tuple[Block, ...]
) -> tuple[bool, int, int, str]:
    """Sorts conditional rows last, then by relevance, priority and, to be the same always, code."""
    return (
        text.when.condition is not None,
        _relevance(text.when.blocks, wanted),
        text.priority,
        code,
    )


def _relevance(blocks: tuple[Block, ...], wanted: tuple[Block, ...]) -> int:
    """0 serves two wanted causes, 1 a wanted cause only, 2 it and everybody, 3 everybody, 4 others."""
    served = len(set(wanted) & set(blocks))
    if served > 1:
        return 0
    if served:
        return 2 if "base" in blocks else 1
    return 3 if "base" in blocks else 4
