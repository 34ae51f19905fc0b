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


def test_the_distribution_replaces_no_opencv_and_no_numpy_that_a_board_has():
    """JetPack 6 brings OpenCV 4.8 and numpy 1.26; backends that come by pip bring the wheel."""
    needs = metadata.requires("edgekd-runtime")
    assert [one for one in needs if "extra ==" not in one] == ["numpy>=1.26"]
    brings = {one.partition("extra == ")[2].strip("'\"") for one in needs if one.startswith("opencv-python-headless")}
    assert brings == {"opencv", "onnxruntime", "onnxruntime-gpu", "openvino"}


def test_its_command_is_installed():
    command = Path(sys.executable).with_name("edgekd-runtime")
    said = subprocess.run([command, "check"], capture_output=True, text=True, check=False)
    assert said.returncode == 0 and "onnxruntime-cpu" in said.stdout, said.stderr


def test_without_opencv_the_install_line_is_shown(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ModuleNotFoundError(\"No module named 'cv2'\", name='cv2')")
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import runpy; runpy.run_module('edgekd_runtime', run_name='__main__')",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "pip install opencv-python-headless" in done.stderr and "Traceback" not in done.stderr
