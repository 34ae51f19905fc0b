"""Calibration for INT8: which images to use. No PyTorch here."""

import edgekd_runtime  # noqa: F401  (first: it switches ONNX Runtime's telemetry off, which counts until that is imported)
