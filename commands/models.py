"""What may be asked of models: register a bundle, promote it, retire it; and which one serves."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from msgspec.structs import replace

from commands.ports import Blobs
from commands.register import Register
from commands.transact import Books, Target, transact, transact_all
from domain import lineup, model as models
from domain.audience import ALL, Audience
from domain.case import Opened
from domain.errors import Refused
from domain.events import MODEL, Request
from domain.model import Model, ModelRole

MODEL_SPACE = UUID("6f0f6a3e-5c5d-5f3e-9d55-8a1f0a4f7c11")


def model_id(manifest_sha256: str) -> UUID:
    """A release is named by the hash of its manifest, which names all else it holds."""
    return uuid5(MODEL_SPACE, manifest_sha256)


async def register(
    books: Books,
    blobs: Blobs,
    request: Request,
    registered: models.Registered,
    files: Mapping[str, bytes],
    tested: models.Tested | None = None,
) -> bool:
    """Stores a checked bundle's files, registers it, and says how it did in the test it carries."""
    for name, data in files.items():
        await blobs.put(bundle_key(registered.manifest_sha256, name), data)
    return await transact(
        books,
        request,
        MODEL,
        model_id(registered.manifest_sha256),
        lambda state: _registered_and_tested(state, registered, tested),
    )


async def promote(
    books: Books,
    request: Request,
    model: UUID,
    role: ModelRole,
    audience: Audience = ALL,
    *,
    rollback: bool = False,
) -> bool:
    """Who had the place leaves it, in the same batch. Raises NotHere when this ledger must not be
    served by that model, NotPassed, Refused."""
    origin = (await books.ledger.head()).origin
    known = await Register(books.ledger, MODEL).refresh()
    leaving = [id_ for id_ in lineup.in_place(known, role, audience) if id_ != model]
    instead_of = leaving[-1] if leaving else None
    wanted = models.Promoted(role, audience, instead_of, rollback)
    reason = lineup.ROLLED_BACK if rollback else lineup.REPLACED

    def decide(state: Model, *others: Model) -> list[list[models.ModelEvent]]:
        coming = models.promote(state, wanted, origin)
        return [coming, *(models.retire(other, reason) for other in others)]

    targets = [Target(MODEL, id_) for id_ in (model, *leaving)]
    return await transact_all(books, request, targets, decide)


async def rollback(books: Books, request: Request) -> tuple[UUID, UUID | None]:
    """Takes the last promotion to a role that answers back: the model that left, and the one that has
    its place again, if one had it before. Raises Refused when there is none, and as `promote` does."""
    history: list[tuple[UUID, Any]] = [
        (r.aggregate_id, r.event) async for r in books.ledger.read(aggregate=MODEL.name)
    ]
    steps = lineup.standing(history)
    if not steps:
        raise Refused("No model answers: there is nothing to take back.")
    leaving, former = steps[-1], lineup.before(steps)
    if former is None:
        await retire(books, request, leaving.model, lineup.ROLLED_BACK)
        return leaving.model, None
    role, audience = former.promoted.role, former.promoted.audience
    await promote(books, request, former.model, role, audience, rollback=True)
    return leaving.model, former.model


def _registered_and_tested(
    state: Model, registered: models.Registered, tested: models.Tested | None
) -> list[models.ModelEvent]:
    known = replace(state, registered=registered)
    return [
        *models.register(state, registered),
        *(models.record_test(known, tested) if tested else []),
    ]


async def retire(books: Books, request: Request, model: UUID, reason: str) -> bool:
    return await transact(books, request, MODEL, model, lambda state: models.retire(state, reason))


async def serving(register: Register) -> tuple[UUID, Model] | None:
    """Who answers where no challenger does, if anybody."""
    known = await register.refresh()
    found = lineup.champion(known)
    return (found, known[found]) if found else None


async def answering(register: Register, case: UUID, opened: Opened) -> tuple[UUID, Model] | None:
    """Who answers this case, if anybody."""
    known = await register.refresh()
    found = lineup.answering(known, case, opened.site, opened.by)
    return (found, known[found]) if found else None


async def shadows(register: Register, case: UUID, opened: Opened) -> list[tuple[UUID, Model]]:
    """Who is asked about this case and never heard."""
    known = await register.refresh()
    return [(id_, known[id_]) for id_ in lineup.shadows(known, case, opened.site, opened.by)]


def bundle_key(manifest_sha256: str, name: str) -> str:
    return f"model/{manifest_sha256}/{name}"
