"""Writes a bundle@2: two graphs, the card for people, and the manifest that names them all."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray
from torch import nn

from training.card import card
from training.export import CalibratedHead, export
from workers.inference.graphs import Bag, TwoGraphs
from workers.inference.manifest import (
    CARD_FILE,
    GRAPHS,
    MANIFEST_FILE,
    Manifest,
    checked_files,
    graphs_sha256,
)
from workers.inference.runtime import CPU

PARITY_MAX: Final = 1e-5

Case = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Tiles (n, 1, side, side), what each is told to be (n, s), context (c,)."""


class NotTheSame(Exception):
    """ONNX Runtime computes something else than torch; the message says by how much."""


def write(
    out: Path, encoder: nn.Module, head: CalibratedHead, draft: Manifest, cases: Sequence[Case]
) -> Manifest:
    """`draft` lacks what only the files can tell. Raises NotTheSame unless both compute the same
    probabilities for `cases`; no manifest is there then, and so no bundle."""
    out.mkdir(parents=True, exist_ok=True)
    sizes = (
        head.head.tanh.in_features - len(draft.sequences),
        len(draft.sequences),
        sum(map(len, draft.context.values())),
    )
    export(encoder, head, sizes, out)
    graphs = {name: _hash(out / name) for name in GRAPHS}
    told = replace(draft, sha256=graphs_sha256(graphs))
    (out / CARD_FILE).write_text(card(told), "utf-8")
    manifest = replace(told, files={**graphs, CARD_FILE: _hash(out / CARD_FILE)})
    hold_to_parity(out, manifest, encoder, head, cases)
    (out / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def hold_to_parity(
    folder: Path,
    manifest: Manifest,
    encoder: nn.Module,
    head: CalibratedHead,
    cases: Sequence[Case],
) -> None:
    """Raises NotTheSame when a probability of any case is not torch's."""
    graphs = TwoGraphs(checked_files(folder, manifest), (CPU,))
    bags = [Bag(graphs.encode(tiles), sequence, context) for tiles, sequence, context in cases]
    served = [told.probability for told in graphs.decide(bags)]
    wanted = [_by_torch(encoder, head, case) for case in cases]
    worst = max(float(np.abs(a - b).max()) for a, b in zip(served, wanted, strict=True))
    if worst > PARITY_MAX:
        raise NotTheSame(f"ONNX differs from torch by {worst:.1e}, more than {PARITY_MAX:.0e}")


@torch.inference_mode()
def _by_torch(encoder: nn.Module, head: CalibratedHead, case: Case) -> NDArray[np.float32]:
    tiles, sequence, context = map(torch.from_numpy, case)
    real = torch.ones(1, len(tiles), dtype=torch.bool)
    probability = head(encoder(tiles)[None], real, sequence[None], context[None])[0][0]
    return np.asarray(probability.numpy(), np.float32)


def _hash(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()
