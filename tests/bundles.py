"""A bundle@2 that knows nothing: random weights, real graphs."""

from pathlib import Path

import msgspec
import numpy as np
import torch
from msgspec.structs import replace

from domain.stroke import CONTEXT, PREDICTED
from training.backbones import encoder
from training.bundle import Case, write
from training.export import CalibratedHead
from training.head import Head, Strangeness
from workers.inference.manifest import (
    MANIFEST_FILE,
    Conformal,
    Interval,
    Manifest,
    read_manifest,
)
from workers.pixels import PIXELS_VERSION, SIDE

SEQUENCES = ("mri-dwi", "mri-adc")
USES = {code: tuple(a for a in CONTEXT[code] if a != "unknown") for code in ("af", "age_band")}
ANSWERS = sum(map(len, USES.values()))
PATTERNS = ("one", "many")


def draft(**facts: object) -> Manifest:
    return replace(
        Manifest(
            format="bundle@2",
            name="knows-nothing",
            version="1",
            role="demo",
            task="ce-vs-laa",
            synthetic=True,
            notice={"en": "Random weights.", "ru": "Случайные веса."},
            sha256="",
            dataset_root="0" * 64,
            generator="none",
            profile="none",
            pixels=PIXELS_VERSION,
            dataset={},
            config={"model": {"backbone": "strided"}},
            seed=0,
            libraries={},
            causes=PREDICTED,
            context=USES,
            sequences=SEQUENCES,
            patterns=PATTERNS,
            temperature=1.3,
            abstain_below=500,
            conformal=Conformal(alpha_permille=100, limits=dict.fromkeys(PREDICTED, 501), cases={}),
            distance_max=1e9,
            intervals=(Interval(at_least=500, below=1001, cases=0, right=0, low=0, high=1000),),
            metrics={},
        ),
        **facts,
    )


def parts() -> tuple[torch.nn.Module, CalibratedHead]:
    torch.manual_seed(4)
    encode, width = encoder("strided")
    head = Head(width, len(SEQUENCES), ANSWERS, len(PATTERNS), "attention")
    for weights in (head.score.weight, head.causes.weight, head.context):
        torch.nn.init.normal_(weights)
    strangeness = Strangeness(width + len(SEQUENCES), 4)
    strangeness.fit(torch.randn(40, width + len(SEQUENCES)))
    return encode.eval(), CalibratedHead(head, strangeness, 1.3).eval()


def cases(counts: tuple[int, ...]) -> list[Case]:
    """Of so many tiles each."""
    rng = np.random.default_rng(6)
    return [
        (
            rng.random((n, 1, SIDE, SIDE), np.float32),
            np.eye(len(SEQUENCES), dtype=np.float32)[rng.integers(0, len(SEQUENCES), n)],
            np.eye(ANSWERS, dtype=np.float32)[n % ANSWERS],
        )
        for n in counts
    ]


def made(folder: Path) -> Path:
    write(folder, *parts(), draft(), cases((1, 3)))
    return folder


def changed(folder: Path, **facts: object) -> Path:
    """Its manifest says something else."""
    manifest = replace(read_manifest(folder), **facts)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return folder
