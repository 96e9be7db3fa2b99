"""What a bundle says of itself, and whether its files are the ones it names.

`bundle@1` is one graph, `model.onnx`; `bundle@2` has `encoder.onnx` and `head.onnx`, so that tiles of many
cases are encoded together and cases of any number of images decided together.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, field

from commands.ports import Missing
from domain.stroke import Cause

MANIFEST_FILE: Final = "manifest.json"
MODEL_FILE: Final = "model.onnx"
ENCODER_FILE: Final = "encoder.onnx"
HEAD_FILE: Final = "head.onnx"
CARD_FILE: Final = "model-card.md"
SIGNATURE_FILE: Final = "signature.json"
GRAPHS: Final = (ENCODER_FILE, HEAD_FILE)


class BundleRefused(Exception):
    """This folder is not a bundle that can be trusted; the message says what is wrong with it."""


class Interval(Struct, frozen=True, kw_only=True):
    """Of `cases` held-out cases whose top probability lay in [from, below) permille, `right` were
    right; `low` and `high` are the Wilson 95 % bounds of that share, in permille."""

    at_least: int
    below: int
    cases: int
    right: int
    low: int
    high: int


class Conformal(Struct, frozen=True, kw_only=True):
    """A cause is left open from its `limits` permille on; but for `alpha_permille` of a cause's cases it
    then is, as they were drawn (class-conditional split conformal; V. Vovk, ACML 2012). `cases` held out
    of each cause are what the limits rest on."""

    alpha_permille: int
    limits: dict[Cause, int]
    cases: dict[Cause, int]


class Manifest(Struct, frozen=True, kw_only=True):
    """What a bundle is and where it comes from.

    `sha256` is of `model.onnx`, or of the lines that `graphs_sha256` makes. `files` are all its files
    by SHA-256. `context` are the questions it uses with the answers that count (any other says
    nothing), `sequences` what a tile may be told to be, `patterns` what `head.onnx` finds beside causes.
    A case farther than `distance_max` from what it was trained on is declined. Figures of `baselines`
    were measured on the same rows as `metrics`; `logistic` are the weights of one of them. Empty: a
    bundle@1, or not used."""

    format: Literal["bundle@1", "bundle@2"] = "bundle@1"
    name: str
    version: str
    role: str
    task: str
    synthetic: bool
    notice: dict[str, str]
    sha256: str
    files: dict[str, str] = {}
    dataset_root: str
    generator: str
    profile: str
    pixels: str
    dataset: dict[str, Any]
    config: dict[str, Any]
    seed: int
    libraries: dict[str, str]
    causes: tuple[Cause, ...]
    context: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"af": ("yes", "no")})
    sequences: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    temperature: float
    abstain_below: int
    conformal: Conformal | None = None
    distance_max: float | None = None
    intervals: tuple[Interval, ...]
    metrics: dict[str, int | float]
    baselines: dict[str, dict[str, int | float]] = {}
    logistic: tuple[float, ...] = ()
    spec_sha256: str = ""
    weights_sha256: str = ""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle; raises BundleRefused when it is missing or malformed, Missing when there is
    no folder."""
    if not folder.is_dir():
        raise Missing(f"there is no folder {folder}")
    try:
        return msgspec.json.decode(read_file(folder / MANIFEST_FILE), type=Manifest)
    except msgspec.DecodeError as error:
        raise BundleRefused(f"{folder / MANIFEST_FILE}: {error}") from error


def files_of(manifest: Manifest) -> dict[str, str]:
    """Every file beside the manifest that makes the bundle, by SHA-256 (hex)."""
    return manifest.files or {MODEL_FILE: manifest.sha256}


def graphs_sha256(files: dict[str, str]) -> str:
    """SHA-256 (hex) over a line `<sha256>  <name>` for each graph, as sha256sum prints them."""
    lines = (f"{files[name]}  {name}\n" for name in GRAPHS)
    return sha256("".join(lines).encode()).hexdigest()


def checked_files(folder: Path, manifest: Manifest) -> dict[str, bytes]:
    """The bundle's files, each as its manifest names it; raises BundleRefused."""
    known = files_of(manifest)
    if manifest.format == "bundle@2" and not known.keys() >= {*GRAPHS}:
        raise BundleRefused(f"{folder / MANIFEST_FILE} does not name {' and '.join(GRAPHS)}.")
    found = {name: read_file(folder / name) for name in known}
    for name, data in found.items():
        if sha256(data).hexdigest() != known[name]:
            raise BundleRefused(f"{folder / name} is not the file its manifest names.")
    if manifest.format == "bundle@2" and graphs_sha256(known) != manifest.sha256:
        raise BundleRefused(f"{folder / MANIFEST_FILE}: `sha256` is not that of its graphs.")
    return found


def read_file(file: Path) -> bytes:
    """Raises BundleRefused."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BundleRefused(f"{file} cannot be read: {error.strerror}.") from error
