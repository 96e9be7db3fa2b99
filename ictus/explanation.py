"""Why this answer then: a past prediction made again from the same bundle and the same pixels."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from msgspec import Struct

from commands import objects
from commands.ports import Missing
from domain.case import PredictionProduced
from domain.events import CASE, Recorded
from domain.stroke import Cause
from ictus.wiring import House
from workers.inference import saliency
from workers.inference.bundles import unpacked
from workers.inference.classifier import Classifier, Prediction
from workers.inference.context import Context


class Explained(Struct, frozen=True, kw_only=True):
    """`differs` names what came out otherwise than it is recorded: nothing, if the machine computes as
    the one then did. `attention_permille` is by image, `overlays` are files with what mattered in colour."""

    case: UUID
    sequence: int
    prediction: UUID
    model_sha256: str
    runtime_then: str
    runtime_now: str
    reproduced: bool
    differs: tuple[str, ...]
    ranked: tuple[tuple[Cause, int], ...]
    af: str
    attention_permille: dict[str, int]
    overlays: tuple[str, ...] = ()


async def explained(
    house: House,
    case: UUID,
    until: int | None,
    out: Path | None,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Explained:
    """The case's last prediction as of `until`. Raises Missing, BundleRefused, Erased."""
    recorded, said = await _last(house, case, until)
    images = [
        await objects.fetch(house.blobs, house.books.vault, case, digest) for digest in said.inputs
    ]
    with TemporaryDirectory(prefix="ictus-bundle-") as cache:
        classifier = await _classifier(house, said, Path(cache))
        context = Context.of({**said.context, "af": said.af})
        again = await asyncio.to_thread(classifier.predict, images, context, said.sequences)
        differs = differences(said, again)
        overlays = await asyncio.to_thread(_overlays, classifier, images, said, out, told)
    return Explained(
        case=case,
        sequence=recorded.sequence,
        prediction=recorded.id,
        model_sha256=said.model_sha256,
        runtime_then=said.runtime,
        runtime_now=again.runtime,
        reproduced=not differs,
        differs=differs,
        ranked=again.ranked,
        af=said.af,
        attention_permille=dict(zip(said.inputs, again.attention_permille, strict=True)),
        overlays=overlays,
    )


def differences(said: PredictionProduced, again: Prediction) -> tuple[str, ...]:
    """What came out otherwise, by the event's names; what would be declined now has nothing chosen."""
    declined = again.decision == "out-of-distribution"
    pairs = {
        "ranked": (said.ranked, again.ranked),
        "chosen": (said.chosen, () if declined else again.left_open),
        "interval": (said.interval, again.interval_permille),
        "attention": (said.attention, again.attention_permille),
    }
    return tuple(name for name, (then, now) in pairs.items() if then != now)


async def _last(house: House, case: UUID, until: int | None) -> tuple[Recorded, PredictionProduced]:
    for recorded in reversed(await house.books.ledger.load(CASE.name, case)):
        if until is None or recorded.sequence <= until:
            match recorded.event:
                case PredictionProduced() as said:
                    return recorded, said
    raise Missing("no model had answered this case by then: there is nothing to explain")


async def _classifier(house: House, said: PredictionProduced, cache: Path) -> Classifier:
    model = (await house.models().refresh()).get(said.model)
    if model is None or model.registered is None:
        raise Missing(f"the model {said.model} is not in this ledger")
    folder = await unpacked(house.blobs, model.registered.manifest_sha256, cache)
    return await asyncio.to_thread(Classifier.load, folder)


def _overlays(
    classifier: Classifier,
    images: list[bytes],
    said: PredictionProduced,
    out: Path | None,
    told: Callable[[int, int], None],
) -> tuple[str, ...]:
    """Named by the image's place and hash; the same scale for all images of the case."""
    if out is None:
        return ()
    out.mkdir(parents=True, exist_ok=True)
    context = Context.of({**said.context, "af": said.af})
    occlusion = saliency.Occlusion(classifier, images, context, said.sequences)
    maps = []
    for at in range(len(images)):
        maps.append(occlusion.heat(at))
        told(len(maps), len(images))
    most = max(float(heat.max()) for heat in maps)
    files = [out / f"{at:02d}-{digest[:12]}.png" for at, digest in enumerate(said.inputs, 1)]
    for file, image, heat in zip(files, images, maps, strict=True):
        file.write_bytes(saliency.overlay(image, heat, most))
    return tuple(map(str, files))
