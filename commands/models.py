"""What may be asked of models: register a bundle, promote it, retire it; and which one serves."""

from collections.abc import Mapping
from uuid import UUID, uuid5

from msgspec.structs import replace

from commands.ports import Blobs
from commands.register import Register
from commands.transact import Books, transact
from domain import model as models
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


async def promote(books: Books, request: Request, model: UUID, role: ModelRole) -> bool:
    """Raises NotHere when this ledger must not be served by that model."""
    origin = (await books.ledger.head()).origin
    return await transact(
        books, request, MODEL, model, lambda state: models.promote(state, role, origin)
    )


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
    """The model promoted last to a role that answers, if any."""
    models_by_age = await register.refresh()
    return next(((id_, m) for id_, m in reversed(list(models_by_age.items())) if m.serves), None)


def bundle_key(manifest_sha256: str, name: str) -> str:
    return f"model/{manifest_sha256}/{name}"
