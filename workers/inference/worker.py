"""Inference: a case is due; predict from all its images with the model that serves, if any."""

import asyncio
import logging
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid5

from msgspec.structs import replace

from commands import cases, models, objects
from commands.ports import Blobs, Message
from commands.register import Register
from commands.transact import Books, because
from domain.case import (
    Case,
    Prediction as PredictionEvent,
    PredictionDeclined,
    PredictionProduced,
    needs_prediction,
)
from domain.events import CASE, MODEL, Request, fold
from domain.model import TASK, Model
from workers.inference.bundles import unpacked
from workers.inference.classifier import Classifier, NothingToSee
from workers.inference.context import Context
from workers.inference.schedule import DUE_ROOT
from workers.modalities import serves
from workers.reactor import Done, Ignored, Outcome

ROLE = "inference"
SUBJECTS = (f"{DUE_ROOT}.>",)

log = logging.getLogger("ictus.inference")


class Inference:
    """Keeps the serving model loaded; `cache` is where bundles are unpacked."""

    def __init__(self, books: Books, blobs: Blobs, cache: Path) -> None:
        self._books, self._blobs, self._cache = books, blobs, cache
        self._models = Register(books.ledger, MODEL)
        self._loaded: tuple[str, Classifier] | None = None
        self._loading = asyncio.Lock()

    async def react(self, message: Message) -> Outcome:
        """One due case; a case that changed meanwhile will be due again. Nobody asked about those that
        were taken in from existing data."""
        serving = await models.serving(self._models)
        if serving is None:
            return Ignored()
        case_id = case_of(message)
        history = await self._books.ledger.load(CASE.name, case_id)
        case: Case = fold(CASE, history)
        model_id, model = serving
        if case.opened is None or case.opened.origin == "import":
            return Ignored()
        if not needs_prediction(case, model_id):
            return Ignored()
        request = _request(because(self._books, history[-1], ROLE), case, model_id)
        prediction = await self._predict(case_id, case, model_id, model)
        done = await cases.record_prediction(self._books, request, case_id, prediction)
        return Done() if done else Ignored()

    async def give_up(self, message: Message) -> None:
        """Prediction failed again and again: the case says so instead of staying silent."""
        serving = await models.serving(self._models)
        if serving is None:
            return
        case_id = case_of(message)
        history = await self._books.ledger.load(CASE.name, case_id)
        case: Case = fold(CASE, history)
        request = _request(because(self._books, history[-1], ROLE), case, serving[0])
        declined = _declined(case, serving[0], "failed")
        await cases.record_prediction(self._books, request, case_id, declined)

    async def _predict(
        self, case_id: UUID, case: Case, model_id: UUID, model: Model
    ) -> PredictionEvent:
        classifier = await self._classifier(model)
        fit = {image.derivative for image in case.usable if serves(image.sequences, TASK)}
        named = dict(zip(case.inputs, case.sequences, strict=True))
        images = [
            await objects.fetch(self._blobs, self._books.vault, case_id, digest)
            for digest in case.inputs
            if digest in fit
        ]
        sequences = [named[digest] for digest in case.inputs if digest in fit]
        context, uses = Context.of(case.context), classifier.manifest
        try:
            predicted = await asyncio.to_thread(classifier.predict, images, context, sequences)
        except NothingToSee:
            return _declined(case, model_id, "out-of-distribution")
        if predicted.decision == "out-of-distribution":
            return _declined(case, model_id, "out-of-distribution")
        assert model.registered is not None
        attention = iter(predicted.attention_permille)
        return PredictionProduced(
            task=TASK,
            inputs=case.inputs,
            af=case.af,
            ranked=predicted.ranked,
            chosen=predicted.left_open,
            interval=predicted.interval_permille,
            attention=tuple(next(attention) if digest in fit else 0 for digest in case.inputs),
            model=model_id,
            model_sha256=model.registered.sha256,
            role=model.role or "",
            runtime=predicted.runtime,
            context=_without_af(context.used(uses.context)),
            sequences=case.sequences if uses.sequences else (),
        )

    async def _classifier(self, model: Model) -> Classifier:
        assert model.registered is not None
        release = model.registered.manifest_sha256
        async with self._loading:
            if self._loaded is None or self._loaded[0] != release:
                folder = await unpacked(self._blobs, release, self._cache)
                self._loaded = release, await asyncio.to_thread(Classifier.load, folder)
                log.info("model loaded", extra={"model": release})
            return self._loaded[1]


def case_of(message: Message) -> UUID:
    return UUID(message.subject.rsplit(".", 1)[1])


def case_key(message: Message) -> str:
    """One prediction of a case at a time: `<part>.case.<id>`."""
    return ".".join(message.subject.split(".")[4:])


def _declined(
    case: Case, model: UUID, reason: Literal["out-of-distribution", "failed"]
) -> PredictionDeclined:
    return PredictionDeclined(task=TASK, inputs=case.inputs, af=case.af, reason=reason, model=model)


def _without_af(used: dict[str, str]) -> dict[str, str]:
    """It has a field of its own."""
    return {code: answer for code, answer in used.items() if code != "af"}


def _request(because: Request, case: Case, model: UUID) -> Request:
    """One request per (inputs, context, model), whatever event made the case due."""
    return replace(because, id=uuid5(model, "/".join((*case.inputs, case.af, because.id.hex))))
