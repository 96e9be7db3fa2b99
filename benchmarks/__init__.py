"""Measurements: `python -m benchmarks.<name> --json` prints one JSON object as its last line."""
