"""The runtime as a device gets it: installed by pip without PyTorch and onnx. `make test-runtime` runs all of this folder there."""

import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

HOST_ONLY = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnxslim", "pydantic", "yaml")

pytestmark = pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed here; `make test-runtime` runs this without")


def test_nothing_of_the_host_is_installed():
    assert [name for name in HOST_ONLY if find_spec(name) is not None] == []
    import edgekd_runtime

    assert Path(edgekd_runtime.__file__).is_relative_to(sys.prefix)  # the installed package, not the source tree


def test_the_distribution_needs_numpy_and_opencv_alone():
    needs = [one for one in metadata.requires("edgekd-runtime") if "extra ==" not in one]
    assert sorted(one.split(">")[0] for one in needs) == ["numpy", "opencv-python-headless"]


def test_its_command_is_installed():
    command = Path(sys.executable).with_name("edgekd-runtime")
    said = subprocess.run([command, "check"], capture_output=True, text=True, check=False)
    assert said.returncode == 0 and "onnxruntime-cpu" in said.stdout, said.stderr
