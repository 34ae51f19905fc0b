"""Small data and small recipes that the tests share.

The runtime's tests run without PyTorch and edgekd, so each fixture imports what it needs of them.
"""

import contextlib
import os
import traceback
from pathlib import Path

import cv2
import numpy as np
import pytest

with contextlib.suppress(ImportError):
    import torch

    torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


def write_pair(image_file: Path, mask_file: Path, label: np.ndarray, seed: int = 0) -> None:
    """An image whose colours tell its classes, and its mask."""
    noise = np.random.default_rng(seed).integers(0, 40, (*label.shape, 3))
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 60]])[label % 4]
    for file, picture in ((image_file, (colours + noise).astype(np.uint8)), (mask_file, label.astype(np.uint8))):
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), picture)


def blocks(seed: int, classes: int, size: tuple[int, int] = (48, 64), cell: int = 16) -> np.ndarray:
    """A label map of random squares."""
    grid = np.random.default_rng(seed).integers(0, classes, (size[0] // cell, size[1] // cell))
    return np.kron(grid, np.ones((cell, cell), int))


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """``module:function`` of a module in the working folder that leaves a mark when it is imported; nothing is trusted."""
    from edgekd_runtime import trust

    monkeypatch.delenv(trust.SWITCH)
    monkeypatch.setattr(trust, "_named", set())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"stranger_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath('ran').touch()\ndef build(*classes, **more): return 7\n")
    return f"{name}:build"


@pytest.fixture(autouse=True)
def _tf32_as_before():
    """A command that switches TF32 off does so for its process, which here goes on to other tests."""
    name = "NVIDIA_TF32_OVERRIDE"
    before = os.environ.get(name)
    yield
    if before is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = before


CAN_BE_MISSING = (
    "GPU",
    "PyTorch is installed here",
    "could not import 'wandb'",
    "could not import 'mlflow'",
    "can't be emulated",
    "no headers of ONNX Runtime",
    "no telemetry to switch off",
)
"""Reasons for which a test may skip where CI runs the whole suite: it has no GPU, the environment without PyTorch has a run of its own,
trackers are large, and packages of other processors come over the network. Whatever else can be had there is installed by `.ci/run`, so a
test that skips for want of it fails the run."""


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI, fail if a test that can run there skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or "torch" not in globals() or reporter is None or hasattr(session.config, "workerinput"):
        return
    reasons = {
        report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr) for report in reporter.stats.get("skipped", [])
    }
    lacking = sorted(reason for reason in reasons if not any(known in reason for known in CAN_BE_MISSING))
    for reason in lacking:
        reporter.write_line(f"In CI this must run: {reason}", red=True)
    if lacking and exitstatus == 0:
        session.exitstatus = 1


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """No test writes to the user's cache, but to this folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGEKD_TRUST", "1")  # tests name their own code below the command line; tests/runtime/test_trust.py does not
    return tmp_path / "cache" / "edgekd"


@pytest.fixture
def camvid(tmp_path):
    """A small CamVid tree: 8 training and 4 validation images, with some void."""
    for split, count in (("train", 8), ("val", 4)):
        for index in range(count):
            label = blocks(index + 100 * (split == "val"), 11)
            label[:2] = 11
            write_pair(tmp_path / f"camvid/{split}/{index:03d}.png", tmp_path / f"camvid/{split}annot/{index:03d}.png", label, index)
    return tmp_path / "camvid"


TINY = {
    "name": "tiny",
    "data": {
        "layout": "streetscape",
        "options": {"size": [48, 64], "count": 16},
        "size": [48, 64],
        "scale": [0.75, 1.5],
        "workers": 0,
    },
    "student": {"name": "lraspp-mobilenetv3_small_050", "output_stride": 32, "head_channels": 16},
    "teacher": {"model": {"name": "fcn-resnet10t", "output_stride": 32, "head_channels": 16}},
    "task": {"min_kept": 150},
    "transfer": [{"method": "cwd"}],
    "train": {"steps": 6, "batch_size": 4, "lr": 0.01, "val_every": 3, "log_every": 1},
}


@pytest.fixture
def tiny():
    """A recipe that trains in seconds."""
    from edgekd.config import Recipe
    from edgekd.loading import validate

    return validate(Recipe, TINY, "tiny")


@pytest.fixture
def tiny_file(tmp_path, tiny) -> Path:
    """The same as a file."""
    from edgekd.loading import dump_recipe

    file = tmp_path / "tiny.yaml"
    file.write_text(dump_recipe(tiny))
    return file


@pytest.fixture
def edgekd():
    """Run the command line; gives click's result, after checking that no traceback was shown."""
    from click.testing import CliRunner

    from edgekd.cli import main

    def run(*arguments: object, code: int = 0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        unexpected = result.exception if not isinstance(result.exception, SystemExit) else None
        assert unexpected is None, "".join(traceback.format_exception(unexpected))
        assert result.exit_code == code, result.output
        return result

    return run
