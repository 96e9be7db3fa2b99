"""Contenders of `benchmarks.inference`, each a server process of its own with the same ONNX file."""
