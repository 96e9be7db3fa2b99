"""ONNX Runtime as the house runs it: one thread to a session, on a GPU where there is one."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
FIRST: Final = (CUDA, CPU)

Array = NDArray[Any]


def chosen(available: Sequence[str] | None = None) -> tuple[str, ...]:
    """The providers to ask for, best first; the CPU does what the GPU cannot, or all of it."""
    known = onnxruntime.get_available_providers() if available is None else available
    return tuple(provider for provider in FIRST if provider in known) or (CPU,)


class Graph:
    """A loaded ONNX file. CPU-bound: run it away from an event loop, one call at a time."""

    def __init__(self, model: bytes, providers: Sequence[str] = (CPU,)) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self._outputs = [each.name for each in self._session.get_outputs()]

    @property
    def providers(self) -> tuple[str, ...]:
        """Those that took the graph, which are fewer than were asked for where one cannot start."""
        return tuple(self._session.get_providers())

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] = ()) -> list[Array]:
        """The named outputs, or all in the graph's order, in the main memory."""
        wanted = list(outputs) or self._outputs
        if CUDA in self.providers:
            return self._run_bound(inputs, wanted)
        found: list[Array] = self._session.run(wanted, dict(inputs))
        return found

    def _run_bound(self, inputs: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """One copy to the device and one back; what is between stays there."""
        bound = self._session.io_binding()
        for name, value in inputs.items():
            bound.bind_cpu_input(name, np.ascontiguousarray(value))
        for name in outputs:
            bound.bind_output(name, "cuda")
        self._session.run_with_iobinding(bound)
        found: list[Array] = bound.copy_outputs_to_cpu()
        return found


def fingerprint(providers: Sequence[str]) -> str:
    """Library and providers: what computed a prediction."""
    return f"onnxruntime {onnxruntime.__version__} {'+'.join(providers)}"
