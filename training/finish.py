"""From a trained module to a bundle: calibration on held-out cases, limits, baselines, files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from msgspec.structs import replace
from torch import Tensor

from domain.model import TASK
from domain.stroke import PREDICTED
from training import baselines, bundle, calibration
from training.baselines import pooled
from training.calibration import Calibration
from training.data import CaseData
from training.examples import PATTERNS, USES, Example, collated
from training.export import CalibratedHead
from training.head import Strangeness
from training.module import StrokeModule
from training.spec import libraries, spec_sha256, weights_sha256
from workers.inference.manifest import Manifest
from workers.ingest.pipeline import PROFILE
from workers.pixels import PIXELS_VERSION

DIRECTIONS: Final = 16
PARITY_CASES: Final = 24
NOTICE: Final = {
    "en": "Trained on synthetic phantoms; no clinical meaning.",
    "ru": "Обучена на синтетических фантомах; клинического значения не имеет.",
}


@dataclass
class Release:
    """How people call the bundle."""

    name: str = "stroke-mil"
    version: str = "1"


class Seen(NamedTuple):
    """What the module finds in cases: logits (b, 2), pooled (b, e), embeddings of each one's tiles."""

    logits: Tensor
    pooled: Tensor
    embeddings: list[Tensor]
    target: Tensor


def finished(
    module: StrokeModule,
    data: CaseData,
    asked: Calibration,
    release: Release,
    spec: dict[str, Any],
    out: Path,
) -> Manifest:
    """Writes the bundle. Raises CannotTrain, NotTheSame."""
    learnt, held_out = seen(module, data.learnt), seen(module, data.held_out)
    temperature = calibration.temperature(held_out.logits, held_out.target)
    probability = torch.softmax(held_out.logits / temperature, 1)
    strangeness = Strangeness(learnt.pooled.shape[1], min(DIRECTIONS, len(data.learnt) // 2))
    strangeness.fit(learnt.pooled)
    distances = strangeness(held_out.pooled)
    width = len(module.sequences)
    beside = baselines.measured(
        data.learnt,
        data.held_out,
        pooled(data.learnt, learnt.embeddings, width),
        pooled(data.held_out, held_out.embeddings, width),
        data.seed,
    )
    draft = replace(
        _draft(module, data, release, spec),
        temperature=temperature,
        conformal=calibration.conformal(probability, held_out.target, asked.alpha_permille),
        distance_max=calibration.farthest(distances, asked.strange_permille),
        intervals=calibration.intervals(probability, held_out.target),
        metrics=calibration.figures(probability, held_out.target),
        baselines=beside.figures,
        logistic=beside.logistic,
    )
    cases = [_bare(module, case) for case in data.held_out[:PARITY_CASES]]
    head = CalibratedHead(module.head, strangeness, temperature)
    return bundle.write(out, module.encoder, head, draft, cases)


@torch.inference_mode()
def seen(module: StrokeModule, cases: Sequence[Example]) -> Seen:
    """Every tile of each case, none varied."""
    found = [module(collated([case])) for case in cases]
    return Seen(
        logits=torch.cat([each.logits for each in found]),
        pooled=torch.cat([each.pooled for each in found]),
        embeddings=[module.encoder(torch.from_numpy(case.tiles)) for case in cases],
        target=torch.tensor([case.target for case in cases]),
    )


def _draft(
    module: StrokeModule, data: CaseData, release: Release, spec: dict[str, Any]
) -> Manifest:
    """All but what calibration tells."""
    manifest = data.source.manifest
    synthetic = any(row.origin == "synthetic" for row in data.source.rows)
    return Manifest(
        format="bundle@2",
        name=release.name,
        version=release.version,
        role="demo" if synthetic else "shadow",
        task=TASK,
        synthetic=synthetic,
        notice=NOTICE if synthetic else {},
        sha256="",
        dataset_root=manifest.root,
        generator=str(manifest.spec.get("generator", "")),
        profile=str(manifest.spec.get("profile", PROFILE)),
        pixels=PIXELS_VERSION,
        dataset=manifest.spec,
        config={
            name: spec[name] for name in ("model", "data", "trainer", "calibration", "threads")
        },
        seed=data.seed,
        libraries=libraries(),
        causes=PREDICTED,
        context=USES,
        sequences=module.sequences,
        patterns=PATTERNS,
        temperature=1.0,
        abstain_below=calibration.ANSWER_FROM_PERMILLE,
        intervals=(),
        metrics={},
        spec_sha256=spec_sha256(spec),
        weights_sha256=weights_sha256(module.encoder, module.head),
    )


def _bare(module: StrokeModule, case: Example) -> bundle.Case:
    return case.tiles, case.sequence[:, : len(module.sequences)], case.context.vector(USES)
