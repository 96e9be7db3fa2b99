"""Exports a trained model as the two ONNX graphs of a bundle@2.

encoder.onnx   tiles (n, 1, side, side) -> embedding (n, e)
head.onnx      embedding (b, n, e), real (b, n), sequence (b, n, s), context (b, c)
               -> probability (b, 2) calibrated, attention (b, n), pattern (b, p), distance (b,)
"""

import logging
import warnings
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from torch import Tensor, nn

from training.head import Head, Strangeness
from workers.inference.manifest import ENCODER_FILE, HEAD_FILE
from workers.pixels import SIDE

OPSET: Final = 18


class CalibratedHead(nn.Module):
    """A head that says probabilities, and how strange a case is."""

    def __init__(self, head: Head, strangeness: Strangeness, temperature: float) -> None:
        super().__init__()
        self.head, self.strangeness = head, strangeness
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(
        self, embedding: Tensor, real: Tensor, sequence: Tensor, context: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        found = self.head(embedding, real, sequence, context)
        probability = torch.softmax(found.logits / self.temperature, 1)
        pattern = torch.softmax(found.patterns, 1)
        return probability, found.attention, pattern, self.strangeness(found.pooled)


def export(
    encoder: nn.Module, head: CalibratedHead, sizes: tuple[int, int, int], folder: Path
) -> None:
    """Writes both graphs; `sizes` are those of an embedding, of `sequence` and of `context`."""
    tiles = torch.export.Dim("n", max=4096)
    written(
        encoder,
        folder / ENCODER_FILE,
        {"tiles": torch.zeros(3, 1, SIDE, SIDE)},
        ("embedding",),
        ({0: tiles},),
    )
    cases, places = torch.export.Dim("b", max=1024), torch.export.Dim("places", max=4096)
    width, sequences, answers = sizes
    written(
        head,
        folder / HEAD_FILE,
        {
            "embedding": torch.zeros(3, 5, width),
            "real": torch.ones(3, 5, dtype=torch.bool),
            "sequence": torch.zeros(3, 5, sequences),
            "context": torch.zeros(3, answers),
        },
        ("probability", "attention", "pattern", "distance"),
        (*[{0: cases, 1: places}] * 3, {0: cases}),
    )


def written(
    model: nn.Module,
    file: Path,
    inputs: dict[str, Tensor],
    outputs: tuple[str, ...],
    dynamic: tuple[dict[int, Any], ...],
) -> None:
    """A graph without names of files or functions: the same weights give the same bytes."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=dynamic,
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
