"""Where a model runs: on a GPU where ONNX Runtime has one, else on the CPU, and what ran is told."""

import numpy as np
import pytest

from benchmarks.serving.onnx_files import MODELS, images
from workers.inference.runtime import CPU, CUDA, Graph, chosen


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        ((CPU,), (CPU,)),
        (("TensorrtExecutionProvider", CUDA, CPU), (CUDA, CPU)),
        (("AzureExecutionProvider", CPU), (CPU,)),
        ((), (CPU,)),
    ],
)
def test_a_gpu_goes_first_and_the_cpu_is_always_there(
    available: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    assert chosen(available) == wanted


def test_what_ran_is_told() -> None:
    assert Graph(MODELS["small"]()).providers == (CPU,)


def test_a_batch_says_bit_for_bit_what_each_alone_says() -> None:
    graph, asked = Graph(MODELS["small"]()), images(5)
    together = graph.run({"images": asked})[0]
    alone = np.concatenate([graph.run({"images": image[None]})[0] for image in asked])
    assert (together == alone).all()
