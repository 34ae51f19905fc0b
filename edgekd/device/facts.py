"""Runs on the device, given to its `python3 -c`: says in one line of JSON what its figures depend on."""

import json
import os
import platform
import sys

LIBRARIES = ("numpy", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx-cu13")

if sys.version_info < (3, 8):  # noqa: UP036  (the device's Python, not the host's)
    versions = {}
else:
    from importlib import metadata

    installed = {one.metadata["Name"]: one.version for one in metadata.distributions()}
    versions = {name: installed[name] for name in LIBRARIES if name in installed}
facts = {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count(), "libraries": versions}
sys.stdout.write("\n" + json.dumps(facts) + "\n")
