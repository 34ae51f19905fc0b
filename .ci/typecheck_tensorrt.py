"""Type-check the TensorRT code against the real bindings of the oldest and the newest TensorRT that it is for.

python .ci/typecheck_tensorrt.py

The bindings' wheels (1 MB each) import without TensorRT once their nine C symbols are there, which a C compiler makes from a line
each; pybind11-stubgen then reads the classes. Stubs are kept in .venv, none is committed.
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
STUBS = ROOT / ".venv" / "tensorrt-stubs"
WHEELS = ("tensorrt-cu12-bindings==10.3.0", "tensorrt-cu13-bindings==11.4.0.106")
PACKAGES = ("edgekd_runtime.trt", "edgekd_runtime.backends")
LIBRARIES = {
    "nvinfer": (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
    "nvonnxparser": ("createNvOnnxParser_INTERNAL", "createNvOnnxParserRefitter_INTERNAL", "getNvOnnxParserVersion"),
}
REPAIRS = ((r"\bin: ", "in_: "), (r"channel_axis: ([\w.]+)\)", r"channel_axis: \1 = ...)"))
"""Signatures that C++ allows and Python does not: a keyword as a name, a default before none."""
FROM_PACKAGE = "\n__version__: str\ndef nptype(trt_type: DataType) -> numpy.dtype: ...\n"
"""What the package adds in Python to the binary module."""


def make_stubs(wheel: str, out: Path) -> None:
    """Write ``tensorrt/__init__.pyi`` of a bindings wheel."""
    major = wheel.split("==")[1].split(".")[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", name, wheel])
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            archive.extractall(folder)
        for library, symbols in LIBRARIES.items():
            source = folder / f"{library}.c"
            source.write_text("".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in symbols))
            _run(["cc", "-shared", "-fPIC", "-o", folder / f"lib{library}.so.{major}", source])
        binary = next(folder.glob("*/tensorrt.so"))
        environment = {**os.environ, "LD_LIBRARY_PATH": name, "PYTHONPATH": str(binary.parent)}
        _run([sys.executable, "-m", "pybind11_stubgen", "tensorrt", "-o", name, "--ignore-all-errors"], environment)
        stub = next(path for path in (folder / "tensorrt.pyi", folder / "tensorrt" / "__init__.pyi") if path.is_file())
        (out / "tensorrt").mkdir(parents=True)
        text = stub.read_text()
        for pattern, repaired in REPAIRS:
            text = re.sub(pattern, repaired, text)
        (out / "tensorrt" / "__init__.pyi").write_text(text + FROM_PACKAGE)


def _run(command: list[object], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(str(part) for part in command)} failed:\n{done.stdout}{done.stderr}")


def main() -> int:
    """Check against every version; the exit status of the worst."""
    worst = 0
    for wheel in WHEELS:
        folder = STUBS / wheel
        if not (folder / "tensorrt" / "__init__.pyi").is_file():
            make_stubs(wheel, folder)
        print(f"mypy against {wheel}", flush=True)
        command = [
            sys.executable,
            "-m",
            "mypy",
            "--cache-dir",
            str(folder / "cache"),
            *(part for name in PACKAGES for part in ("-p", name)),
        ]
        worst = max(worst, subprocess.run(command, cwd=ROOT, env={**os.environ, "MYPYPATH": str(folder)}, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
