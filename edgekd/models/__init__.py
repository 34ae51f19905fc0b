"""Networks: backbone + head + classifier, built by name, and what everything else needs of any network."""

from edgekd.models.build import build_network
from edgekd.models.checkpoint import NetworkFile, load_network, save_network
from edgekd.models.network import Network, SegOutput
from edgekd.models.segmenter import Segmenter

__all__ = ["Network", "NetworkFile", "SegOutput", "Segmenter", "build_network", "load_network", "save_network"]
