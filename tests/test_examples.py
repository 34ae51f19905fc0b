"""The examples run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.runs import Run
from tests.conftest import write_pair

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


def run(*command: object, folder: Path, **environment: str) -> str:
    path = os.pathsep.join([str(ROOT), str(ROOT / "deploy"), str(ROOT / "calib")])
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shown = {**os.environ, "PYTHONPATH": path, "PATH": tools, **environment}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder, env=shown, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_has_a_test_and_a_line_in_the_list():
    names = {file.name for file in EXAMPLES.iterdir() if file.suffix in (".py", ".sh")}
    assert names == {"own_loop.py", "own_loss.py", "adopt.py", "predict.py", "huggingface_teacher.sh"}
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"]({name})" in listed for name in names)


def test_own_loop(tmp_path):
    assert len((EXAMPLES / "own_loop.py").read_text().splitlines()) <= 25
    lines = run(sys.executable, EXAMPLES / "own_loop.py", folder=tmp_path).splitlines()
    assert len(lines) == 10 and "'cwd'" in lines[-1]


def test_adopt_and_predict(tmp_path):
    for split in ("train", "val"):
        for index in range(2):
            label = torch.randint(0, 11, (48, 64)).numpy()
            write_pair(tmp_path / f"c/{split}/{index}.png", tmp_path / f"c/{split}annot/{index}.png", label, index)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 11, 1)).eval()
    torch.onnx.export(module, (torch.zeros(1, 3, 48, 64),), tmp_path / "net.onnx", dynamo=True, verbose=False)
    run(sys.executable, EXAMPLES / "adopt.py", tmp_path / "net.onnx", tmp_path / "c", tmp_path / "out", folder=tmp_path)
    said = run(sys.executable, EXAMPLES / "predict.py", tmp_path / "out/int8", tmp_path / "c/val", tmp_path / "masks", folder=tmp_path)
    assert len(said.splitlines()) == 2 and (tmp_path / "masks/0_overlay.jpg").is_file()


def test_a_loss_of_ones_own(tmp_path, tiny_file, edgekd, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    teacher = ["--teacher", "tests.models.own:Net", "--set", "teacher.source.logits=scores"]
    edgekd("distill", "--recipe", tiny_file, "--method", "own_loss:CosineLogits", "--steps", 1, *teacher, "--out", tmp_path / "run")
    assert any("CosineLogits" in record.get("parts", {}) for record in Run(tmp_path / "run").history())


@pytest.mark.slow
def test_huggingface_teacher(tmp_path):
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    small = {"hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16, "depths": [1, 1, 1, 1], "num_labels": 9}
    SegformerForSemanticSegmentation(SegformerConfig(**small)).save_pretrained(tmp_path / "hf")
    run("bash", EXAMPLES / "huggingface_teacher.sh", tmp_path / "hf", tmp_path / "run", folder=tmp_path, STEPS="2")
    assert Run(tmp_path / "run").fp32.is_file()
