"""BentoML as its pages say: adaptive batches, of base64 in JSON or of files as they are (`raw`).

MODEL and BATCH come by the environment, since `bentoml serve` imports this file in its own processes.
"""

import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import onnxruntime

from benchmarks.serving.onnx_files import SIDE

BATCH = int(os.environ.get("BENCH_BATCH", "8"))
LATENCY_MS_MAX = 60_000


@bentoml.service(workers=1, traffic={"timeout": 120, "max_concurrency": 64})
class Scores:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"]
        )

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS_MAX)
    def predict(self, images: list[str]) -> list[list[float]]:
        return self._scores([b64decode(image) for image in images])

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=LATENCY_MS_MAX)
    def raw(self, images: list[Path]) -> list[list[float]]:
        return self._scores([image.read_bytes() for image in images])

    def _scores(self, images: list[bytes]) -> Any:
        batch = np.frombuffer(b"".join(images), np.uint8).reshape(-1, SIDE, SIDE, 3)
        return self._session.run(None, {"images": batch})[0].tolist()
