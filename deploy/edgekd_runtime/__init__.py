"""What runs on the device: artifact, backends, latency, accuracy and video. Needs numpy, OpenCV and one backend; never PyTorch or onnx."""

__version__ = "0.2.0"
