"""LitServe as its pages say: JSON with base64, or (`--raw`) the bytes as they are.

python -m benchmarks.serving.litserve_server MODEL --port N --batch 8 [--raw]
"""

import argparse
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import litserve
import numpy as np
import onnxruntime
from fastapi import Body, Request
from numpy.typing import NDArray

from benchmarks.serving.onnx_files import SIDE

LINGER_S = 0.005


class Json(litserve.LitAPI):
    def __init__(self, model: str, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=LINGER_S)
        self._model = model

    def setup(self, device: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            self._model, options, providers=["CPUExecutionProvider"]
        )

    def decode_request(self, request: Request) -> NDArray[np.uint8]:
        """What comes is the JSON of the request, whatever the annotation that asks for it says."""
        return _image(b64decode(request["image"]))

    def batch(self, inputs: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.stack(inputs)

    def predict(self, x: NDArray[np.uint8]) -> Any:
        return self._session.run(None, {"images": x if x.ndim == 4 else x[None]})[0]

    def unbatch(self, output: Any) -> Any:
        return list(output)

    def encode_response(self, output: Any) -> Any:
        return {"scores": np.ravel(output).tolist()}


class Raw(Json):
    def decode_request(
        self, request: Annotated[bytes, Body(media_type="application/octet-stream")]
    ) -> NDArray[np.uint8]:
        return _image(request)


def _image(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--raw", action="store_true")
    given = parser.parse_args()
    api = (Raw if given.raw else Json)(str(given.model), given.batch)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=given.port, log_level="warning", generate_client_file=False)
