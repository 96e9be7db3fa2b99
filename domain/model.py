"""A model release: registered, promoted to a role, retired."""

from typing import Literal, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from domain.audience import ALL, Audience
from domain.errors import NotHere, NotPassed, Refused
from domain.happened import Happened

NAME = "model"

TASK = "ce-vs-laa"
ModelRole = Literal["demo", "shadow", "challenger", "champion"]
SERVING: frozenset[ModelRole] = frozenset({"demo", "champion"})
HELD_OUT = frozenset({"test", "external"})
"""Splits that no model learns from: only a test on these counts."""


# Events


class Registered(Happened, frozen=True, tag="model.registered.v1"):
    """A bundle was checked and stored. `sha256` is of its ONNX file, `dataset_root` of its rows."""

    name: str
    version: str
    task: str
    sha256: str
    manifest_sha256: str
    dataset_root: str
    profile: str
    synthetic: bool


class Tested(Happened, frozen=True, tag="model.tested.v1"):
    """It was measured on a split of a dataset and held to limits; `figures` are in permille."""

    dataset_root: str
    split: str
    acceptance_sha256: str
    report_sha256: str
    passed: bool
    figures: dict[str, int]


class Promoted(Happened, frozen=True, tag="model.promoted.v1"):
    """`instead_of` had the place until now; `rollback` when it only comes back to it."""

    role: ModelRole
    audience: Audience = ALL
    instead_of: UUID | None = None
    rollback: bool = False


class Retired(Happened, frozen=True, tag="model.retired.v1"):
    reason: str


ModelEvent = Registered | Tested | Promoted | Retired


# State


class Model(Struct, frozen=True):
    registered: Registered | None = None
    tested: Tested | None = None
    role: ModelRole | None = None
    audience: Audience = ALL

    @property
    def serves(self) -> bool:
        return self.role in SERVING


def evolve(model: Model, event: ModelEvent, event_id: UUID) -> Model:
    match event:
        case Registered():
            return replace(model, registered=event)
        case Tested():
            return replace(model, tested=event)
        case Promoted():
            return replace(model, role=event.role, audience=event.audience)
        case Retired():
            return replace(model, role=None, audience=ALL)
        case _:
            assert_never(event)


# Decisions


def register(model: Model, registered: Registered) -> list[ModelEvent]:
    return [] if model.registered else [registered]


def record_test(model: Model, tested: Tested) -> list[ModelEvent]:
    if model.registered is None:
        raise Refused("This model is not registered: `ictus model register FOLDER` first.")
    return [] if model.tested == tested else [tested]


def promote(model: Model, promoted: Promoted, ledger_origin: str) -> list[ModelEvent]:
    """A synthetic model may only be `demo`, and `demo` answers only in ledgers made by the demo; none
    answers that has not passed its test on cases that no model learns from."""
    role = promoted.role
    if model.registered is None:
        raise Refused("This model is not registered: `ictus model register FOLDER` first.")
    if model.registered.synthetic and role != "demo":
        raise Refused("A model trained on synthetic cases may only be promoted to the role `demo`.")
    if role == "demo" and ledger_origin != "demo":
        raise NotHere
    if role in SERVING and promoted.audience != ALL:
        raise Refused(f"A {role} answers all: a challenger or a shadow may have an audience.")
    if model.tested is None or not model.tested.passed:
        raise NotPassed
    if model.tested.split not in HELD_OUT:
        raise NotPassed(
            f"Its test was on the split `{model.tested.split}`, which models learn from: `ictus model"
            " test FOLDER --dataset DIR --split test`, then `ictus model register FOLDER`."
        )
    is_so = (model.role, model.audience) == (role, promoted.audience)
    return [] if is_so else [promoted]


def retire(model: Model, reason: str) -> list[ModelEvent]:
    return [Retired(reason=reason)] if model.role else []
