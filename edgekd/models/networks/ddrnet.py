"""DDRNet-23-slim (Hong et al. 2021, "Deep dual-resolution networks"): two branches that exchange what they see, twice."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.networks.blocks import ContextPyramid, PreactivatedHead, conv_bn, layer, resize, stem
from edgekd.models.networks.whole import WholeNetwork

WIDTH = 32


class Trunk(nn.Module):
    """One branch stays at stride 8, the other goes to 64, where the context pyramid is."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        w, high = WIDTH, 2 * WIDTH
        self.conv1 = stem(in_channels, w)
        self.layer1, self.layer2 = layer(w, w, 2), layer(w, high, 2, 2)
        self.layer3, self.layer4 = layer(high, 4 * w, 2, 2), layer(4 * w, 8 * w, 2, 2)
        self.compression3, self.compression4 = conv_bn(4 * w, high, 1), conv_bn(8 * w, high, 1)
        self.down3 = conv_bn(high, 4 * w, 3, 2)
        self.down4 = nn.Sequential(*conv_bn(high, 4 * w, 3, 2), nn.ReLU(inplace=True), *conv_bn(4 * w, 8 * w, 3, 2))
        self.layer3_, self.layer4_ = layer(high, high, 2), layer(high, high, 2)
        self.layer5_ = layer(high, high, 1, bottleneck=True)
        self.layer5 = layer(8 * w, 8 * w, 1, 2, bottleneck=True)
        self.spp = ContextPyramid(16 * w, 128, 4 * w, parallel=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Both branches together; the fine one after the first exchange."""
        shared = F.relu(self.layer2(F.relu(self.layer1(self.conv1(image)))))
        coarse, fine = self.layer3(shared), self.layer3_(shared)
        coarse, fine = coarse + self.down3(F.relu(fine)), fine + resize(self.compression3(F.relu(coarse)), fine)
        guided = fine
        coarse, fine = self.layer4(F.relu(coarse)), self.layer4_(F.relu(fine))
        coarse, fine = coarse + self.down4(F.relu(fine)), fine + resize(self.compression4(F.relu(coarse)), fine)
        fine = self.layer5_(F.relu(fine))
        return [resize(self.spp(self.layer5(F.relu(coarse))), fine) + fine, guided]


class DDRNet23Slim(WholeNetwork):
    """The published network; its one head for training reads the fine branch after the first exchange."""

    width, multiple = 64, 64
    taps = {"auxiliary": 1}
    keys = {"seghead_extra.": "training_only.auxiliary.", "final_layer.conv2.": "classifier.", "final_layer.": "head."}

    def build(self, width: int) -> None:
        self.trunk = Trunk(self.in_channels)
        self.training_only = nn.ModuleDict({"auxiliary": PreactivatedHead(2 * WIDTH, width, self.num_classes)})
        self.head = PreactivatedHead(4 * WIDTH, width)
        self.classifier = nn.Conv2d(width, self.num_classes, 1)
