"""The losses without published code to hold them against: their formulas evaluated directly in float64, on the reference inputs."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.distill import functional as L
from edgekd.distill.bpkd import edge_masks

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("direct", ROOT / "benchmarks/direct.py")
direct = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(direct)

G = {key: torch.from_numpy(np.asarray(value)) for key, value in np.load(ROOT / "tests/golden/losses.npz").items()}
zs, zt, fs, ft, labels = G["zs"], G["zt"], G["fs"], G["ft"], G["labels"]

CASES = {
    "dist": (lambda z, t: L.correlation_kd(z, t, 1.0, 2.0), lambda z, t: direct.correlation_kd(z, t, 1.0, 2.0), (zs, zt)),
    "bpkd": (L.boundary_kd, lambda z, t, y: direct.boundary_kd(z, t, y, 50.0, 20.0), (zs, zt, labels)),
    "afdcd": (lambda s, t: L.dense_contrast(s, t, 3, 3, 2.0), lambda s, t: direct.dense_contrast(s, t, 3, 3, 2.0), (fs, G["ft_same"])),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_the_formula(name):
    ours, formula, inputs = CASES[name]
    found = []
    for loss, dtype in ((ours, torch.float32), (formula, torch.float64)):
        student, *rest = (value.detach().to(dtype) if value.is_floating_point() else value for value in inputs)
        value = loss(student.requires_grad_(), *rest)
        value.backward()
        found.append((value.detach().double(), student.grad.double()))
    torch.testing.assert_close(*(value for value, _ in found), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(*(gradient for _, gradient in found), rtol=1e-3, atol=1e-4 * float(found[1][1].abs().max()))


def test_contrast_leaves_out_what_fills_no_group_or_patch():
    s, t = fs, G["ft_same"]
    torch.testing.assert_close(L.dense_contrast(s, t, 4, 4), L.dense_contrast(s[:, :4, :8, :12], t[:, :4, :8, :12], 4, 4))
    small = s[..., :2, :3], t[..., :2, :3]
    torch.testing.assert_close(L.dense_contrast(*small, 2, 4), L.dense_contrast(*small, 2, 3))


@pytest.mark.parametrize("radius", [1, 3])
def test_edges_are_where_a_window_shows_another_label(radius):
    picture = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1, 1, 255, 255, 2, 2, 2, 2, 2]]).repeat(12, 1)[None]
    edges = edge_masks(picture, 3, (12, 16), radius)[0]
    for c in range(3):
        for x in range(16):
            window = picture[0, 0, max(0, x - radius) : x + radius + 1]
            expected = int(picture[0, 0, x]) < 3 and bool((window == c).any()) and bool((window != c).any())
            assert set(edges[c, :, x].tolist()) == {float(expected)}, (c, x)
    assert edge_masks(torch.zeros(1, 12, 16, dtype=torch.long), 3, (3, 4), radius).sum() == 0
    coarse = edge_masks(picture, 3, (3, 4), radius)[0]
    torch.testing.assert_close(coarse, edges.reshape(3, 3, 4, 4, 4).mean((2, 4)))
