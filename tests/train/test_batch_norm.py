"""The CPU form of synchronised batch norm is batch norm where there is one process."""

import torch
from timm.layers import BatchNormAct2d
from torch import nn

from edgekd.train.batch_norm import freeze_batch_norm, synchronise_batch_norm


def test_alone_it_is_the_plain_one():
    for norm in (nn.BatchNorm2d(4), BatchNormAct2d(4, act_layer=nn.ReLU)):
        x = torch.randn(3, 4, 5, 6)
        expected = norm(x)
        keys = set(norm.state_dict())
        again = synchronise_batch_norm(nn.Sequential(norm), torch.device("cpu"))
        assert set(again[0].state_dict()) == keys
        torch.testing.assert_close(again(x), expected)


def test_frozen_stays_frozen_through_train():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    freeze_batch_norm(model)
    model.train()
    before = model[1].running_mean.clone()
    model(torch.randn(2, 3, 4, 4) + 5)
    assert torch.equal(model[1].running_mean, before) and not model[1].weight.requires_grad and model[0].weight.requires_grad
