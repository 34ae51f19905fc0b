"""What maps are cut into: BPKD's edges, and Af-DCD's patches and groups."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.distill import functional as L
from edgekd.distill.bpkd import edge_masks

G = {
    key: torch.from_numpy(value)
    for key, value in np.load(Path(__file__).parents[1] / "golden/losses.npz").items()
    if key in ("fs", "ft_same")
}


def test_contrast_leaves_out_what_fills_no_group_or_patch():
    s, t = G["fs"], G["ft_same"]
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
