"""The CPU form of synchronised batch norm is batch norm where there is one process."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from edgekd.train import batch_norm
from edgekd.train.batch_norm import freeze_batch_norm, synchronise_batch_norm


def test_alone_it_is_the_plain_one():
    for norm in (nn.BatchNorm2d(4), BatchNormAct2d(4, act_layer=nn.ReLU)):
        x = torch.randn(3, 4, 5, 6)
        expected = norm(x)
        keys = set(norm.state_dict())
        again = synchronise_batch_norm(nn.Sequential(norm), torch.device("cpu"))
        assert set(again[0].state_dict()) == keys
        torch.testing.assert_close(again(x), expected)


@pytest.mark.parametrize("options", [{"affine": False}, {"momentum": None}, {"track_running_stats": False}])
def test_over_processes_it_is_the_plain_one_with_any_options(options, monkeypatch):
    """One process that is told of two, whose sums are twice its own: the other has the same images."""
    monkeypatch.setattr(batch_norm, "world_size", lambda: 2)
    monkeypatch.setattr(batch_norm, "all_reduce", lambda x: 2 * x)
    ours, plain = synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(4, **options)), torch.device("cpu")), nn.BatchNorm2d(4, **options)
    for _ in range(3):
        x = torch.randn(3, 4, 5, 6) * 2 + 1
        torch.testing.assert_close(ours(x), plain(torch.cat([x, x]))[:3])
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(ours[0].state_dict()[name], value)


def test_frozen_stays_frozen_through_train():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    freeze_batch_norm(model)
    model.train()
    before = model[1].running_mean.clone()
    model(torch.randn(2, 3, 4, 4) + 5)
    assert torch.equal(model[1].running_mean, before) and not model[1].weight.requires_grad and model[0].weight.requires_grad
