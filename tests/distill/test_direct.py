"""The losses without published code to hold them against: their formulas evaluated directly in float64, on the reference inputs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.distill import functional as L

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("direct", ROOT / "benchmarks/direct.py")
direct = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(direct)

G = {key: torch.from_numpy(np.asarray(value)) for key, value in np.load(ROOT / "tests/golden/losses.npz").items()}
zs, zt, fs, ft, labels = G["zs"], G["zt"], G["fs"], G["ft"], G["labels"]

CASES = {
    "dist": (lambda z, t: L.correlation_kd(z, t, 1.0, 2.0), lambda z, t: direct.correlation_kd(z, t, 1.0, 2.0), (zs, zt)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_the_formula(name):
    ours, formula, inputs = CASES[name]
    found = []
    for loss, dtype in ((ours, torch.float32), (formula, torch.float64)):
        student, *rest = (value.detach().to(dtype) for value in inputs)
        value = loss(student.requires_grad_(), *rest)
        value.backward()
        found.append((value.detach().double(), student.grad.double()))
    torch.testing.assert_close(*(value for value, _ in found), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(*(gradient for _, gradient in found), rtol=1e-3, atol=1e-4 * float(found[1][1].abs().max()))
