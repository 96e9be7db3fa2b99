"""Exports a trained model as ONNX: one case's tiles and AF answer in, calibrated probabilities out."""

import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from training.module import StrokeMIL
from workers.pixels import SIDE

OPSET = 18


class Calibrated(nn.Module):
    """Tiles (n, 1, side, side) and af (3,) to probability per cause (2,) and attention per tile (n,)."""

    def __init__(self, module: StrokeMIL, temperature: float) -> None:
        super().__init__()
        self.encoder, self.head = module.encoder, module.head
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, tiles: Tensor, af: Tensor) -> tuple[Tensor, Tensor]:
        embeddings = self.encoder(tiles).unsqueeze(0)
        real = torch.ones_like(embeddings[:, :, 0], dtype=torch.bool)
        logits, attention = self.head(embeddings, real, af.unsqueeze(0))
        return torch.softmax(logits[0] / self.temperature, 0), attention[0]


def export(model: Calibrated, file: Path) -> None:
    """Writes the graph without names of files or functions: the same weights give the same bytes."""
    shapes = {"tiles": {0: torch.export.Dim("n", min=1, max=1024)}, "af": None}
    example = (torch.zeros(3, 1, SIDE, SIDE), torch.tensor([0.0, 0.0, 1.0]))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["tiles", "af"],
            output_names=["probability", "attention"],
            dynamic_shapes=shapes,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    onnx.checker.check_model(graph)
    file.write_bytes(bare(graph).SerializeToString(deterministic=True))


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without metadata, which would tell where and from which source lines it was made."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
    graph.ClearField("value_info")
    return model
