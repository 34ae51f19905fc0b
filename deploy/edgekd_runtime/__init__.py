"""What runs on the device: artifact, backends, latency, accuracy and video. Needs numpy, OpenCV and one backend; never PyTorch or onnx."""

import os

__version__ = "0.2.0"

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
"""ONNX Runtime reads it when it is imported; without it, 1.31 asks for its maker's event host and keeps a device id in the user's cache."""
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 28))
"""OpenCV reads it when it is imported: of a picture that declares more pixels (268 million) nothing is decoded."""
