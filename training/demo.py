"""Makes the demo bundle from nothing: synthetic cases, training, calibration, export, measurement.

`python -m training.demo` writes it beside the committed one and says whether both are the same;
`--commit` replaces the committed one.
"""

import logging
import shutil
import sys
from argparse import ArgumentParser
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec
import numpy as np
import torch

from domain.model import TASK
from domain.stroke import PREDICTED
from training import dataset, evaluate, synth, synthset
from training.onegraph import Calibrated, export
from training.train import Config, Example, examples, logits, train
from workers.inference.classifier import Classifier
from workers.inference.context import Context
from workers.inference.graphs import Bag
from workers.inference.manifest import MANIFEST_FILE, MODEL_FILE, Manifest
from workers.ingest.pipeline import PROFILE
from workers.pixels import PIXELS_VERSION

log = logging.getLogger("training.demo")

COMMITTED: Final = Path(__file__).parent / "bundles" / "demo"
FRESH: Final = Path(".ictus") / "train-demo"
CASES, SEED = 1000, 0
FIRST_CASE = 1_000_000_000
"""No case that `ictus demo` plays was ever trained on: it plays lower numbers."""

PARITY_MAX = 1e-4
AF = {"af": ("yes", "no")}
LIBRARIES = ("torch", "lightning", "onnx", "onnxscript", "numpy", "opencv-python-headless")
NOTICE = {
    "en": "Trained on synthetic phantoms; no clinical meaning.",
    "ru": "Обучена на синтетических фантомах; клинического значения не имеет.",
}


def build(folder: Path, out: Path, config: Config, seed: int) -> Manifest:
    """Trains on the dataset in `folder` and writes a bundle into `out`; raises on a parity error."""
    data = dataset.read(folder)
    module = train(examples(data, "train"), config, seed)
    calibration, test = examples(data, "validation"), examples(data, "test")
    temperature = evaluate.temperature(logits(module, calibration), _targets(calibration))
    model = Calibrated(module, temperature)
    out.mkdir(parents=True, exist_ok=True)
    export(model, out / MODEL_FILE)
    held_out = torch.softmax(logits(module, calibration) / temperature, 1)
    measured = torch.softmax(logits(module, test) / temperature, 1)
    manifest = Manifest(
        name="synthetic-demo",
        version="1",
        role="demo",
        task=TASK,
        synthetic=True,
        notice=NOTICE,
        sha256=sha256((out / MODEL_FILE).read_bytes()).hexdigest(),
        dataset_root=data.manifest.root,
        generator=synth.VERSION,
        profile=PROFILE,
        pixels=PIXELS_VERSION,
        dataset=data.manifest.spec,
        config=msgspec.to_builtins(config),
        seed=seed,
        libraries={name: version(name) for name in LIBRARIES},
        causes=PREDICTED,
        temperature=temperature,
        abstain_below=evaluate.ABSTAIN_BELOW_PERMILLE,
        intervals=evaluate.intervals(held_out, _targets(calibration)),
        metrics=evaluate.metrics(measured, _targets(test)),
    )
    (out / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    _hold_to_parity(Classifier.load(out), test, measured)
    return manifest


def same(one: Path, other: Path) -> bool:
    """Whether two bundles are the same, byte for byte."""
    names = (MODEL_FILE, MANIFEST_FILE)
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def _targets(cases: list[Example]) -> torch.Tensor:
    return torch.tensor([case.target for case in cases])


def _hold_to_parity(classifier: Classifier, cases: list[Example], wanted: torch.Tensor) -> None:
    nothing = np.zeros((0, 0), np.float32)
    bags = [Bag(case.tiles, nothing, Context(af=case.af).vector(AF)) for case in cases]
    served = [told.probability for told in classifier.graphs.decide(bags)]
    worst = float(np.abs(np.stack(served) - wanted.numpy()).max())
    if worst > PARITY_MAX:
        raise RuntimeError(f"ONNX differs from torch by {worst:.1e}, more than {PARITY_MAX:.0e}")


def main() -> None:
    parser = ArgumentParser(description="Makes the demo bundle from nothing.")
    parser.add_argument("--commit", action="store_true", help="replace the committed bundle")
    commit = parser.parse_args().commit
    synthset.as_a_command()
    with TemporaryDirectory() as folder:
        synthset.build(CASES, FIRST_CASE, Path(folder))
        manifest = build(Path(folder), FRESH, Config(), SEED)
    log.info("test split: %s", manifest.metrics)
    if commit:
        shutil.copytree(FRESH, COMMITTED, dirs_exist_ok=True)
    verdict = "identical to" if same(FRESH, COMMITTED) else "not identical to"
    sys.stdout.write(f"{FRESH} is {verdict} {COMMITTED}\n")


if __name__ == "__main__":
    main()
