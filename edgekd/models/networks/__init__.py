"""Whole networks from their papers. `NETWORKS` is the list: to add one, write its file and a line here."""

from collections.abc import Callable

from edgekd.config import ModelRecipe
from edgekd.models.network import Network
from edgekd.models.networks.bisenetv2 import BiSeNetV2
from edgekd.models.networks.ddrnet import DDRNet23Slim
from edgekd.models.networks.fast_scnn import FastSCNN
from edgekd.models.networks.ffnet import FFNet40S
from edgekd.models.networks.pidnet import PIDNetS
from edgekd.models.networks.pp_liteseg import pp_liteseg_b, pp_liteseg_t
from edgekd.models.networks.regseg import RegSeg

NETWORKS: dict[str, Callable[[ModelRecipe, int, int], Network]] = {
    "pidnet-s": PIDNetS,
    "ddrnet-23-slim": DDRNet23Slim,
    "pp-liteseg-t": pp_liteseg_t,
    "pp-liteseg-b": pp_liteseg_b,
    "bisenetv2": BiSeNetV2,
    "fast-scnn": FastSCNN,
    "ffnet-40s": FFNet40S,
    "regseg": RegSeg,
}
"""Name → (recipe, number of classes, input channels) → network."""
