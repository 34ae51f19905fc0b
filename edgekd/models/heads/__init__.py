"""Heads. `HEADS` is the list: to add one, write its file and a line here."""

from edgekd.models.heads.base import Head, Levels
from edgekd.models.heads.deeplabv3 import DeepLabV3Head
from edgekd.models.heads.fcn import FCNHead
from edgekd.models.heads.lraspp import LRASPPHead
from edgekd.models.heads.psp import PSPHead

HEADS: dict[str, type[Head]] = {
    "fcn": FCNHead,
    "psp": PSPHead,
    "deeplabv3": DeepLabV3Head,
    "lraspp": LRASPPHead,
}

__all__ = ["HEADS", "Head", "Levels"]
