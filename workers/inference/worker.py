"""Inference: a case is due; predict from all its images with the model that answers it, if any."""

import asyncio
import logging
from typing import Literal, NamedTuple
from uuid import UUID, uuid5

from msgspec.structs import asdict, replace

from commands import cases, models
from commands.ports import Erased, Message, Unavailable
from commands.register import Register
from commands.transact import Books, because
from domain.case import (
    Case,
    Opened,
    Prediction as PredictionEvent,
    PredictionDeclined,
    PredictionProduced,
    ShadowPredicted,
    needs_prediction,
    needs_shadow,
)
from domain.events import CASE, MODEL, Recorded, Request, fold
from domain.model import TASK, Model
from workers.inference.batcher import LATER, NOW
from workers.inference.classifier import NothingToSee
from workers.inference.context import Context
from workers.inference.images import Images
from workers.inference.schedule import DUE_ROOT
from workers.inference.shelf import Shelf
from workers.reactor import Done, Ignored, Outcome

ROLE = "inference"
SUBJECTS = (f"{DUE_ROOT}.>",)

log = logging.getLogger("ictus.inference")


class Inference:
    """Asks whoever answers a case, then the shadows, whom nobody hears."""

    def __init__(self, books: Books, shelf: Shelf, images: Images) -> None:
        self._books, self._shelf, self._images = books, shelf, images
        self._models = Register(books.ledger, MODEL)

    async def react(self, message: Message) -> Outcome:
        """One due case; a case that changed meanwhile will be due again. Nobody asked about those that
        were taken in from existing data."""
        due = await self._due(message)
        if due is None or due.opened.origin == "import":
            return Ignored()
        answered = await self._answer(due)
        shadowed = [await self._shadow(due, *each) for each in await self._shadows(due)]
        return Done() if answered or any(shadowed) else Ignored()

    async def give_up(self, message: Message) -> None:
        """Prediction failed again and again: the case says so instead of staying silent."""
        due = await self._due(message)
        answering = due and await models.answering(self._models, due.id, due.opened)
        if not (due and answering):
            return
        declined = _declined(due.case, answering[0], "failed")
        await cases.record_prediction(
            self._books, self._request(due, answering[0]), due.id, declined
        )

    async def _due(self, message: Message) -> "Due | None":
        case_id = case_of(message)
        history = await self._books.ledger.load(CASE.name, case_id)
        case: Case = fold(CASE, history)
        return Due(case_id, case, case.opened, history[-1]) if case.opened else None

    async def _answer(self, due: "Due") -> bool:
        answering = await models.answering(self._models, due.id, due.opened)
        if answering is None or not needs_prediction(due.case, answering[0]):
            return False
        model_id, model = answering
        said = await self._said(due, model_id, model)
        return await cases.record_prediction(
            self._books, self._request(due, model_id), due.id, said
        )

    async def _shadows(self, due: "Due") -> list[tuple[UUID, Model]]:
        known = await models.shadows(self._models, due.id, due.opened)
        return [(id_, model) for id_, model in known if needs_shadow(due.case, id_)]

    async def _shadow(self, due: "Due", model_id: UUID, model: Model) -> bool:
        """Whatever a shadow fails at is not the case's trouble."""
        try:
            said = _unheard(await self._said(due, model_id, model, LATER), model)
        except (Unavailable, Erased):
            raise
        except Exception as error:  # noqa: BLE001  nobody waits for it
            extra = {"model": str(model_id), "cause": type(error).__name__}
            log.error("shadow failed", extra=extra)
            return False
        request = self._request(due, model_id)
        return await cases.record_shadow(self._books, request, due.id, said)

    async def _said(
        self, due: "Due", model_id: UUID, model: Model, urgency: int = NOW
    ) -> PredictionEvent:
        assert model.registered is not None
        loaded = await self._shelf.loaded(model.registered.manifest_sha256)
        images = await self._images.of(due.id, due.case)
        context, uses = Context.of(due.case.context), loaded.classifier.manifest
        try:
            prepared = await asyncio.to_thread(
                loaded.classifier.prepare, images.data, context, images.sequences
            )
        except NothingToSee:
            return _declined(due.case, model_id, "out-of-distribution")
        told = await loaded.predict(prepared, urgency)
        if told.decision == "out-of-distribution":
            return _declined(due.case, model_id, "out-of-distribution")
        attention = dict(zip(images.digests, told.attention_permille, strict=True))
        return PredictionProduced(
            task=TASK,
            inputs=due.case.inputs,
            af=due.case.af,
            ranked=told.ranked,
            chosen=told.left_open,
            interval=told.interval_permille,
            attention=tuple(attention.get(digest, 0) for digest in due.case.inputs),
            model=model_id,
            model_sha256=model.registered.sha256,
            role=model.role or "",
            runtime=told.runtime,
            context=_without_af(context.used(uses.context)),
            sequences=due.case.sequences if uses.sequences else (),
        )

    def _request(self, due: "Due", model: UUID) -> Request:
        """One request per (inputs, context, model), whatever event made the case due."""
        because_of = because(self._books, due.last, ROLE)
        words = "/".join((*due.case.inputs, due.case.af, because_of.id.hex))
        return replace(because_of, id=uuid5(model, words))


class Due(NamedTuple):
    """A case of which something may have to be said, as it stood after its event `last`."""

    id: UUID
    case: Case
    opened: Opened
    last: Recorded


def case_of(message: Message) -> UUID:
    return UUID(message.subject.rsplit(".", 1)[1])


def case_key(message: Message) -> str:
    """One prediction of a case at a time: `<part>.case.<id>`."""
    return ".".join(message.subject.split(".")[4:])


def _declined(
    case: Case, model: UUID, reason: Literal["out-of-distribution", "failed"]
) -> PredictionDeclined:
    return PredictionDeclined(task=TASK, inputs=case.inputs, af=case.af, reason=reason, model=model)


def _unheard(said: PredictionEvent, model: Model) -> ShadowPredicted:
    if isinstance(said, PredictionDeclined):
        return ShadowPredicted(
            task=said.task,
            inputs=said.inputs,
            af=said.af,
            ranked=(),
            chosen=(),
            interval=(0, 0),
            attention=(),
            model=said.model,
            model_sha256=model.registered.sha256 if model.registered else "",
            role=model.role or "",
            runtime="",
            declined="out-of-distribution",
        )
    return ShadowPredicted(**asdict(said))


def _without_af(used: dict[str, str]) -> dict[str, str]:
    """It has a field of its own."""
    return {code: answer for code, answer in used.items() if code != "af"}
