"""Loads the nets that lie beside ingest: on one thread, and only the files this version was tested with."""

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


class BadNet(Exception):
    """A net's file is not the one this version was tested with."""


def load(net: str, digest: str) -> "InferenceSession":
    """The net of `nets/<net>.onnx`, on one thread, so that any machine's threads give the same bits.

    Raises BadNet unless `digest` is the file's hex SHA-256.
    """
    from onnxruntime import InferenceSession, SessionOptions

    model = (files("workers.ingest") / "nets" / f"{net}.onnx").read_bytes()
    if sha256(model).hexdigest() != digest:
        raise BadNet(f"{net}.onnx is not the one that belongs to this version")
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = (
        False  # every picture has a new size
    )
    options.log_severity_level = 3
    return InferenceSession(model, options, providers=["CPUExecutionProvider"])
