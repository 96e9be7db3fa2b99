"""A run in full: whoever repeats its spec on the same kind of machine gets the same weights."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from typing import Any, Final

import msgspec
import torch

from workers.pixels import PIXELS_VERSION

LIBRARIES: Final = ("torch", "lightning", "onnx", "onnxscript", "numpy", "opencv-python-headless")
"""What weights, or the files made of them, depend on."""

PLACES: Final = {"dataset", "workers"}
"""Of `data`: where it lies and how many help changes no weight."""

SHOWN: Final = {
    "callbacks",
    "default_root_dir",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "log_every_n_steps",
    "logger",
    "num_sanity_val_steps",
    "profiler",
}
"""Of `trainer`: what is kept or shown changes no weight."""

NOT_OF_A_RUN: Final = {"config", "checkpoint", "release"}


def spec_of(config: Mapping[str, Any], dataset_root: str) -> dict[str, Any]:
    """From the resolved configuration; plain values only."""
    run = {name: value for name, value in config.items() if name not in NOT_OF_A_RUN}
    run["data"] = {name: value for name, value in run["data"].items() if name not in PLACES}
    run["trainer"] = {name: v for name, v in run["trainer"].items() if name not in SHOWN}
    told: dict[str, Any] = msgspec.to_builtins(
        {**run, "dataset_root": dataset_root, "pixels": PIXELS_VERSION, "libraries": libraries()},
        enc_hook=str,
    )
    return told


def spec_sha256(spec: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode(spec, order="sorted")).hexdigest()


def libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}


def weights_sha256(*modules: torch.nn.Module) -> str:
    """Hex SHA-256 over every weight, by name: what two equal runs have in common."""
    digest = sha256()
    for module in modules:
        for name, value in sorted(module.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
