"""The moving average: its recursion, its warm-up, and what it does with batch norm."""

import pytest
import torch
from torch import nn

from edgekd.train.average import MovingAverage


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_follows_weights_and_statistics_by_the_recursion(decay):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    average = MovingAverage(model, decay)
    expected = None
    for step in range(30):
        with torch.no_grad():
            model[0].weight.add_(torch.randn_like(model[0].weight))
        model(torch.randn(2, 3, 5, 5) + step)
        average.update_parameters(model)
        latest = {name: value.double() for name, value in model.state_dict().items()}
        d = min(decay, (1 + step) / (10 + step))
        expected = {name: d * expected[name] + (1 - d) * value for name, value in latest.items()} if expected else latest
    for name in ("0.weight", "1.running_mean", "1.running_var"):
        torch.testing.assert_close(average.module.state_dict()[name].double(), expected[name], rtol=1e-5, atol=1e-6)
    assert int(average.module[1].num_batches_tracked) == 30


def test_a_short_run_forgets_its_first_weights():
    """Without the warm-up 0.999^100 = 90 % of what is kept would be the weights before training."""
    model = nn.Linear(1, 1, bias=False)
    average = MovingAverage(model, 0.999)
    for value in [1.0] + [0.0] * 100:
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
    assert float(average.module.weight.detach()) < 1e-6
