"""The layering of the house, and what may be imported where."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCKER = """
import sys
FORBIDDEN = "torch torchvision timm onnx onnxscript onnxslim lightning_fabric pydantic yaml edgekd".split()
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Block())
"""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def test_imports_go_one_way():
    import os

    linter = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "deploy", "calib"))}
    result = subprocess.run([linter], capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert result.returncode == 0, result.stdout


def test_runtime_and_calibration_import_without_torch_and_onnx():
    modules = sorted(
        str(file.relative_to(folder).with_suffix("")).replace("/", ".").removesuffix(".__init__")
        for folder in (ROOT / "deploy", ROOT / "calib")
        for file in folder.rglob("*.py")
        if file.parent != folder and "build" not in file.parts
    )
    assert len(modules) > 10
    result = python(BLOCKER + f"import importlib\nfor name in {modules}: importlib.import_module(name)")
    assert result.returncode == 0, result.stderr


def test_help_does_not_wait_for_torch():
    code = "import sys\nfrom edgekd.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    heavy = "print([m for m in ('torch', 'cv2', 'numpy', 'pydantic', 'rich', 'onnx') if m in sys.modules])"
    assert python(code + heavy).stdout.strip().endswith("[]")


def test_files_read_in_one_sitting():
    files = [file for part in ("edgekd", "deploy", "calib") for file in (ROOT / part).rglob("*.py")]
    assert {str(file): length for file in files if (length := len(file.read_text().splitlines())) > 400} == {}
