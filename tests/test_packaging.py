"""Both distributions, built and installed outside the repository."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import tomllib

import edgekd_runtime
from edgekd.loading import dump_recipe

ROOT = Path(__file__).parents[1]
PARTS = {"edgekd": ROOT, "edgekd_runtime": ROOT / "deploy"}


def run(*command: object, folder: Path, code: int = 0) -> str:
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder, env=clean, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheels, built without a network: hatchling is installed here."""
    out = tmp_path_factory.mktemp("wheels")
    for root in PARTS.values():
        run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, root, folder=out)
    return {file.name.split("-")[0]: file for file in out.glob("*.whl")}


def test_one_version_everywhere():
    version = edgekd_runtime.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"edgekd-runtime=={version}" in project["dependencies"]
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "LICENSE").read_bytes() == (ROOT / "deploy/LICENSE").read_bytes()


def test_a_tiny_chain_outside_the_repository(wheels, tmp_path, tiny):
    assert set(wheels) == set(PARTS)
    run(sys.executable, "-m", "twine", "check", "--strict", *wheels.values(), folder=tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", *wheels.values(), folder=tmp_path)
    # what they depend on is taken from this environment, its own edgekd is not: a .pth file is not read for further .pth files
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=tmp_path).strip()
    (Path(own) / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    edgekd = tmp_path / "venv/bin/edgekd"
    assert edgekd_runtime.__version__ in run(edgekd, "--version", folder=tmp_path)
    where = run(python, "-c", "import edgekd, edgekd_calib, edgekd_runtime as r; print(edgekd.__file__, r.__file__)", folder=tmp_path)
    assert where.count(str(tmp_path)) == 2
    (tmp_path / "tiny.yaml").write_text(dump_recipe(tiny))
    run(edgekd, "train", "--recipe", "tiny.yaml", "--steps", 1, "--out", "run", folder=tmp_path)
    run(edgekd, "export", "run", "--parity-images", 1, folder=tmp_path)
    run(tmp_path / "venv/bin/edgekd-runtime", "bench", "run/export", "--seconds", 0.1, folder=tmp_path)
    # uninstalling one leaves the other whole
    run(python, "-m", "pip", "uninstall", "-q", "-y", "edgekd", folder=tmp_path)
    run(python, "-c", "import edgekd_runtime.backends", folder=tmp_path)
