"""Which models are asked about a case, and what the last promotion took whose place."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from domain.audience import Audience
from domain.model import SERVING, Model, ModelEvent, ModelRole, Promoted, Retired

REPLACED, ROLLED_BACK = "replaced", "rolled back"
NARROWEST_FIRST = ("person", "site", "percent", "all")

Models = Mapping[UUID, Model]
"""By id, the one promoted last at the end."""


class Step(NamedTuple):
    """A promotion to a role that answers."""

    model: UUID
    promoted: Promoted


def champion(models: Models) -> UUID | None:
    """Who answers where no challenger does: the one promoted last."""
    return next((id_ for id_, model in reversed(list(models.items())) if model.serves), None)


def answering(models: Models, case: UUID, site: str, by: UUID) -> UUID | None:
    """A challenger for its audience, the narrowest first; the champion, or the demo's model, for all
    else; None where nobody answers."""
    challengers = [
        (NARROWEST_FIRST.index(model.audience.kind), str(id_), id_)
        for id_, model in models.items()
        if model.role == "challenger" and model.audience.includes(case, site, by)
    ]
    return min(challengers)[2] if challengers else champion(models)


def shadows(models: Models, case: UUID, site: str, by: UUID) -> tuple[UUID, ...]:
    """Those that are asked and never heard."""
    return tuple(
        id_
        for id_, model in models.items()
        if model.role == "shadow" and model.audience.includes(case, site, by)
    )


def in_place(models: Models, role: ModelRole, audience: Audience) -> tuple[UUID, ...]:
    """Who has to leave for a model of that role: one answers all that is left, one challenger stands for
    an audience, and one for a share. Shadows are not in each other's way."""
    return tuple(id_ for id_, model in models.items() if _same(model, role, audience))


def _same(model: Model, role: ModelRole, audience: Audience) -> bool:
    if role in SERVING:
        return model.serves
    if role != "challenger" or model.role != "challenger":
        return False
    shares = model.audience.kind == audience.kind == "percent"
    return shares or model.audience == audience


def standing(history: Iterable[tuple[UUID, ModelEvent]]) -> list[Step]:
    """The promotions that were neither taken back nor ended, oldest first: those replaced stay, since
    taking the last one back brings the one before it back."""
    steps: list[Step] = []
    for model, event in history:
        match event:
            case Promoted(role=role, rollback=False) if role != "shadow":
                steps.append(Step(model, event))
            case Retired(reason=reason) if reason != REPLACED:
                steps = [step for step in steps if step.model != model]
    return steps


def before(steps: list[Step]) -> Step | None:
    """The step that the last one took the place of, if its model still waits."""
    replaced = steps[-1].promoted.instead_of
    return next((step for step in reversed(steps[:-1]) if step.model == replaced), None)
