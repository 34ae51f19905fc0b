"""ONNX Runtime tells nobody that it runs: no device id in the cache, no connection."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WATCHED = """
import os, sys, time
if sys.argv[1]:
    __import__(sys.argv[1])
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
seen, end = set(), time.monotonic() + 1.5
while time.monotonic() < end:
    for number in os.listdir("/proc/self/fd"):
        try:
            seen.add(os.readlink("/proc/self/fd/" + number))
        except OSError:
            pass
    time.sleep(0.002)
print(*(one for one in seen if one.startswith("socket:") or "Microsoft" in one), sep="\\n")
"""


def watched(first: str, home: Path) -> tuple[str, list[Path]]:
    """Sockets and files of ONNX Runtime's own, of a process that imports `first` and opens a model; and what it leaves in the home."""
    home.mkdir()
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "PYTHONPATH": f"{ROOT / 'deploy'}{os.pathsep}{ROOT}"}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | own
    command = [sys.executable, "-c", WATCHED, first, ROOT / "tests/runtime/data/any.onnx"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip(), [path for path in home.rglob("*") if path.is_file()]


def test_nothing_is_opened_and_nothing_is_left(tmp_path):
    pytest.importorskip("onnxruntime")
    assert watched("edgekd_runtime", tmp_path / "ours") == ("", [])
    if not any(watched("", tmp_path / "theirs")):
        pytest.skip("this ONNX Runtime has no telemetry to switch off")


@pytest.mark.parametrize("package", ["edgekd", "edgekd_calib"])
def test_whatever_imports_it_switches_it_off_first(package):
    folder = {"edgekd": ROOT, "edgekd_calib": ROOT / "calib"}[package] / package
    assert [file for file in folder.rglob("*.py") if re.search(r"^\s*(import|from) onnxruntime", file.read_text(), re.M)]
    assert re.search(r"^(import|from) edgekd_runtime", (folder / "__init__.py").read_text(), re.M)
