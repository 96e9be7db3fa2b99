"""What the buttons of a card mean: short actions (at most 64 bytes) and the requests they stand for."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct

from domain.stroke import CAUSES, EVIDENCE, Answer, Cause, Evidence

ACTION_BYTES_MAX = 64
ITEM_DIGITS = 8
CASE_DIGITS = 16


class Agree(Struct, frozen=True):
    case: UUID


class Unsure(Struct, frozen=True):
    case: UUID


class ChooseOpinion(Struct, frozen=True):
    case: UUID


class GiveOpinion(Struct, frozen=True):
    case: UUID
    cause: Cause


class TellAf(Struct, frozen=True):
    case: UUID
    af: Answer


class ShowExaminations(Struct, frozen=True):
    case: UUID


class ChooseCause(Struct, frozen=True):
    case: UUID


class ChooseEvidence(Struct, frozen=True):
    case: UUID
    cause: Cause


class ConfirmLabel(Struct, frozen=True):
    case: UUID
    cause: Cause
    evidence: Evidence


class Split(Struct, frozen=True):
    """`item` is the first 8 hex digits of the image's id."""

    case: UUID
    item: str


class ChooseSamePatient(Struct, frozen=True):
    """Which other case of the person is of the same patient? `page` counts from 0."""

    case: UUID
    page: int


class ConfirmSamePatient(Struct, frozen=True):
    """`other` is the first 16 hex digits of the other case's id."""

    case: UUID
    other: str


class LinkSamePatient(Struct, frozen=True):
    case: UUID
    other: str


class BackToCard(Struct, frozen=True):
    case: UUID


class ListCases(Struct, frozen=True):
    """`page` counts from 0."""

    page: int


class OpenCase(Struct, frozen=True):
    case: UUID


class AskAccess(Struct, frozen=True):
    pass


class Approve(Struct, frozen=True):
    person: UUID


class Consent(Struct, frozen=True):
    notice: str


CaseTap = (
    Agree
    | Unsure
    | ChooseOpinion
    | GiveOpinion
    | TellAf
    | ShowExaminations
    | ChooseCause
    | ChooseEvidence
    | ConfirmLabel
    | Split
    | ChooseSamePatient
    | ConfirmSamePatient
    | LinkSamePatient
    | BackToCard
    | ListCases
    | OpenCase
)
Tap = CaseTap | AskAccess | Approve | Consent

VERBS: dict[str, type[Tap]] = {
    "ag": Agree,
    "un": Unsure,
    "ot": ChooseOpinion,  # codespell:ignore
    "op": GiveOpinion,
    "af": TellAf,
    "ex": ShowExaminations,
    "fc": ChooseCause,
    "ca": ChooseEvidence,
    "lb": ConfirmLabel,
    "sp": Split,
    "sa": ChooseSamePatient,
    "sq": ConfirmSamePatient,
    "sy": LinkSamePatient,
    "bk": BackToCard,
    "my": ListCases,
    "cs": OpenCase,
    "ask": AskAccess,
    "ok": Approve,
    "co": Consent,
}
VERB_OF = {kind: verb for verb, kind in VERBS.items()}
AF_LETTERS: dict[str, Answer] = {"y": "yes", "n": "no", "u": "unknown"}


def pack(tap: Tap) -> str:
    words = [WORDS[name].write(getattr(tap, name)) for name in tap.__struct_fields__]
    return ":".join([VERB_OF[type(tap)], *words])


def parse(action: str) -> Tap:
    """The request behind an action. Raises ValueError for anything `pack` would not write."""
    verb, *words = action.split(":")
    try:
        kind = VERBS[verb]
        names = kind.__struct_fields__
        tap = kind(*(WORDS[name].read(word) for name, word in zip(names, words, strict=True)))
    except (LookupError, ValueError) as error:
        raise ValueError("not an action of ours") from error
    if pack(tap) != action:
        raise ValueError("not an action of ours")
    return tap


class Word(NamedTuple):
    """How one field is written in an action."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _matching(pattern: str) -> Callable[[str], str]:
    def read(word: str) -> str:
        if not re.fullmatch(pattern, word, re.ASCII):
            raise ValueError(pattern)
        return word

    return read


_ID = Word(write=lambda id_: id_.hex, read=UUID)
WORDS = {
    "case": _ID,
    "person": _ID,
    "cause": Word(lambda cause: str(CAUSES.index(cause)), lambda word: CAUSES[int(word)]),
    "evidence": Word(lambda found: str(EVIDENCE.index(found)), lambda word: EVIDENCE[int(word)]),
    "af": Word(lambda answer: answer[0], AF_LETTERS.__getitem__),
    "item": Word(str, _matching(rf"[0-9a-f]{{{ITEM_DIGITS}}}")),
    "other": Word(str, _matching(rf"[0-9a-f]{{{CASE_DIGITS}}}")),
    "page": Word(str, lambda word: int(_matching(r"\d{1,4}")(word))),
    "notice": Word(str, _matching(r"[0-9a-z-]{1,32}")),
}
