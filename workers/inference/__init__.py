"""Inference: what the images of a case look like to the model that serves."""

import os

# ONNX Runtime's Linux wheel reports to its maker unless told not to before it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
