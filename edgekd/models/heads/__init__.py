"""Heads. `HEADS` is the list: to add one, write its file and a line here."""

from edgekd.models.heads.base import Head, Levels
from edgekd.models.heads.deeplabv3 import DeepLabV3Head
from edgekd.models.heads.deeplabv3plus import DeepLabV3PlusHead
from edgekd.models.heads.fcn import FCNHead
from edgekd.models.heads.fpn import FPNHead
from edgekd.models.heads.isa import ISAHead
from edgekd.models.heads.lraspp import LRASPPHead
from edgekd.models.heads.ocr import OCRHead
from edgekd.models.heads.ppliteseg import PPLiteSegHead
from edgekd.models.heads.psp import PSPHead
from edgekd.models.heads.segformer import SegFormerHead
from edgekd.models.heads.stdc import STDCHead

HEADS: dict[str, type[Head]] = {
    "fcn": FCNHead,
    "psp": PSPHead,
    "deeplabv3": DeepLabV3Head,
    "deeplabv3plus": DeepLabV3PlusHead,
    "ocr": OCRHead,
    "isa": ISAHead,
    "stdc": STDCHead,
    "lraspp": LRASPPHead,
    "fpn": FPNHead,
    "segformer": SegFormerHead,
    "ppliteseg": PPLiteSegHead,
}

__all__ = ["HEADS", "Head", "Levels"]
