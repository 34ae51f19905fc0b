"""The layering of the house, and what may be imported where."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOST = "torch torchvision timm lightning_fabric pydantic yaml edgekd"
BLOCKER = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {forbidden}:
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, Block())
import importlib
for name in {modules}:
    importlib.import_module(name)
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def test_imports_go_one_way():
    import os

    linter = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "deploy", "calib"))}
    result = subprocess.run([linter], capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("part", "forbidden"),
    [("deploy", f"{HOST} onnx onnxscript onnxslim edgekd_calib"), ("calib", HOST)],
)
def test_device_and_calibration_import_without_what_only_the_host_has(part, forbidden):
    folder = ROOT / part
    files = [file for file in folder.rglob("*.py") if file.parent != folder and "build" not in file.parts]
    modules = sorted(str(file.relative_to(folder).with_suffix("")).replace("/", ".").removesuffix(".__init__") for file in files)
    assert len(modules) > 8
    result = python(BLOCKER.format(forbidden=forbidden.split(), modules=modules))
    assert result.returncode == 0, result.stderr


def test_help_does_not_wait_for_torch():
    code = "import sys\nfrom edgekd.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "print([m for m in ('torch', 'cv2', 'numpy', 'pydantic', 'rich', 'onnx') if m in sys.modules])"
    assert python(code + heavy).stdout.strip().endswith("[]")


def test_files_read_in_one_sitting():
    files = [file for part in ("edgekd", "deploy", "calib") for file in (ROOT / part).rglob("*.py")]
    assert {str(file): length for file in files if (length := len(file.read_text().splitlines())) > 400} == {}
