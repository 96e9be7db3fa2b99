"""Reads a model bundle and predicts the cause of a stroke from a case's de-identified images."""

import platform
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np
import onnxruntime
from msgspec import Struct
from numpy.typing import NDArray

from domain.stroke import Answer, Cause
from workers.pixels import PIXELS_VERSION, tiles

MODEL_FILE: Final = "model.onnx"
MANIFEST_FILE: Final = "manifest.json"
AF_ANSWERS: Final[tuple[Answer, ...]] = ("yes", "no", "unknown")
CPU: Final = ("CPUExecutionProvider",)


class Interval(Struct, frozen=True, kw_only=True):
    """Of `cases` held-out cases whose top probability lay in [from, below) permille, `right` were
    right; `low` and `high` are the Wilson 95 % bounds of that share, in permille."""

    at_least: int
    below: int
    cases: int
    right: int
    low: int
    high: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What a bundle is and where it comes from; `sha256` is of its ONNX file."""

    name: str
    version: str
    role: str
    task: str
    synthetic: bool
    notice: dict[str, str]
    sha256: str
    dataset_root: str
    generator: str
    profile: str
    pixels: str
    dataset: dict[str, Any]
    config: dict[str, int | float]
    seed: int
    libraries: dict[str, str]
    causes: tuple[Cause, ...]
    temperature: float
    abstain_below: int
    intervals: tuple[Interval, ...]
    metrics: dict[str, int | float]


class Prediction(Struct, frozen=True, kw_only=True):
    """Calibrated probabilities in permille, most likely cause first. `attention_permille` is each
    image's share, in the order given. `runtime` names what computed it."""

    ranked: tuple[tuple[Cause, int], ...]
    interval_permille: tuple[int, int]
    decision: Literal["answer", "abstain"]
    attention_permille: tuple[int, ...]
    runtime: str


class BundleRefused(Exception):
    """This folder is not a bundle that can be trusted; the message says what is wrong with it."""


class NothingToSee(Exception):
    """None of the images holds a head."""


class Classifier:
    """A loaded bundle. Not thread-safe by promise; CPU-bound: call it away from an event loop."""

    def __init__(self, manifest: Manifest, session: onnxruntime.InferenceSession) -> None:
        self.manifest = manifest
        self._session = session
        self.runtime = _fingerprint(manifest, session)

    @classmethod
    def load(cls, folder: Path, providers: Sequence[str] = CPU) -> Self:
        """Raises BundleRefused when a file is missing, altered or made for other pixels."""
        manifest = read_manifest(folder)
        model = _read(folder / MODEL_FILE)
        if sha256(model).hexdigest() != manifest.sha256:
            raise BundleRefused(f"{folder / MODEL_FILE} is not the file its manifest names.")
        if manifest.pixels != PIXELS_VERSION:
            raise BundleRefused(f"{folder} was trained on {manifest.pixels}, not {PIXELS_VERSION}.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return cls(manifest, onnxruntime.InferenceSession(model, options, providers=providers))

    def predict(self, derivatives: Sequence[bytes], *, af: str = "unknown") -> Prediction:
        """The cause as ingest's derivatives show it, the same whatever their order.

        `af`: is atrial fibrillation known ("yes", "no", "unknown")? Raises NothingToSee when no
        image holds a head, ValueError for another answer.
        """
        order = sorted(range(len(derivatives)), key=lambda at: sha256(derivatives[at]).digest())
        pixels = [tiles(derivatives[at]) for at in order]
        if not sum(map(len, pixels)):
            raise NothingToSee
        probability, attention = self.run(np.concatenate(pixels), af_input(af))
        permille = _permille(probability)
        ranked = sorted(zip(self.manifest.causes, permille, strict=True), key=lambda pair: -pair[1])
        top = ranked[0][1]
        return Prediction(
            ranked=tuple(ranked),
            interval_permille=self.interval(top),
            decision="abstain" if top < self.manifest.abstain_below else "answer",
            attention_permille=_per_image(attention, [len(part) for part in pixels], order),
            runtime=self.runtime,
        )

    def run(
        self, pixels: NDArray[np.float32], af: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability per cause and attention per tile, for tiles (n, 1, side, side) and af (3,)."""
        probability, attention = self._session.run(None, {"tiles": pixels, "af": af})
        return probability, attention

    def interval(self, top: int) -> tuple[int, int]:
        """The 95 % interval of similar held-out cases, widened if need be to hold `top` itself."""
        rows = self.manifest.intervals
        row = next((row for row in rows if row.at_least <= top < row.below), rows[-1])
        return min(row.low, top), max(row.high, top)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle; raises BundleRefused when it is missing or malformed."""
    try:
        return msgspec.json.decode(_read(folder / MANIFEST_FILE), type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleRefused(f"{folder / MANIFEST_FILE}: {error}") from error


def af_input(af: str) -> NDArray[np.float32]:
    """One-hot over AF_ANSWERS, float32 (3,)."""
    if af not in AF_ANSWERS:
        raise ValueError(f"af is one of {', '.join(AF_ANSWERS)}, not {af!r}")
    return np.array([af == answer for answer in AF_ANSWERS], np.float32)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleRefused(f"{file} cannot be read: {error.strerror}.") from error


def _permille(probability: NDArray[np.float32]) -> list[int]:
    """Whole permille that sum to 1000: the last cause takes the rounding."""
    head = [round(1000 * float(share)) for share in probability[:-1]]
    return [*head, 1000 - sum(head)]


def _per_image(
    attention: NDArray[np.float32], counts: list[int], order: list[int]
) -> tuple[int, ...]:
    ends = np.cumsum([0, *counts])
    shares = {
        image: round(1000 * float(attention[ends[at] : ends[at + 1]].sum()))
        for at, image in enumerate(order)
    }
    return tuple(shares[image] for image in range(len(order)))


def _fingerprint(manifest: Manifest, session: onnxruntime.InferenceSession) -> str:
    """Library, provider, processor family and model: what a prediction's bits depend on."""
    providers = "+".join(session.get_providers())
    library = f"onnxruntime {onnxruntime.__version__}"
    return f"{library} {providers} {platform.machine()} {manifest.pixels} {manifest.sha256[:12]}"
