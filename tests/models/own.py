"""A network that somebody else wrote, for tests that name it: ``tests.models.own:Net``."""

from torch import nn


class Net(nn.Module):
    """Takes sizes of multiples of 8 only, as many U-Nets do, and returns a dictionary."""

    def __init__(self, classes: int = 4, width: int = 8) -> None:
        super().__init__()
        self.down = nn.Sequential(*(nn.Conv2d(3 if i == 0 else width, width, 3, 2, 1) for i in range(3)), nn.BatchNorm2d(width), nn.ReLU())
        self.up = nn.ConvTranspose2d(width, width, 8, 8)
        self.last, self.tokens = nn.Conv2d(width, classes, 1), nn.Flatten(2)

    def forward(self, image):
        up = self.up(self.down(image))
        self.tokens(up)
        return {"scores": self.last(up + 0 * image[:, :1]), "side": self.last(up)}


def broken():
    raise ValueError("no such configuration")


class NotANetwork:
    """Returned by nobody."""


class DeepSupervised(Net):
    """Several outputs in training, the logits last, and the logits alone in evaluation."""

    def forward(self, image):
        found = super().forward(image)
        return [found["side"], found["scores"]] if self.training else found["scores"]
