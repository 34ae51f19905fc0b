"""What was published of a model: mIoU on Cityscapes, parameters, and the licence of the public code.

Figures only, each with its source; the code here is written from the papers.
"""

from dataclasses import dataclass

MIT, APACHE, BSD_CLEAR = "MIT", "Apache-2.0", "BSD-3-Clause-Clear"


@dataclass(frozen=True)
class Published:
    """Of one model.

    Attributes:
        miou: Percent, Cityscapes, single scale, no mirror image.
        split: That it is for.
        size: Network input (H, W).
        parameters_m: Millions, as published; None if the source gives none.
        licence: SPDX identifier of the public code.
        source: Where the figures are from.
    """

    miou: float
    split: str
    size: tuple[int, int]
    parameters_m: float | None
    licence: str
    source: str


FULL, THREE_QUARTERS, HALF = (1024, 2048), (768, 1536), (512, 1024)
PUBLISHED: dict[str, Published] = {
    "pidnet-s": Published(78.8, "val", FULL, 7.6, MIT, "arXiv 2206.02066 and github.com/XuJiacong/PIDNet"),
    "ddrnet-23-slim": Published(77.8, "val", FULL, 5.7, MIT, "arXiv 2101.06085 and github.com/ydhongHIT/DDRNet"),
    "pp-liteseg-t": Published(76.0, "val", THREE_QUARTERS, None, APACHE, "arXiv 2204.02681 and github.com/PaddlePaddle/PaddleSeg"),
    "pp-liteseg-b": Published(78.2, "val", THREE_QUARTERS, None, APACHE, "arXiv 2204.02681 and github.com/PaddlePaddle/PaddleSeg"),
    "bisenetv2": Published(73.4, "val", HALF, 3.359, MIT, "arXiv 2004.02147; code and parameters of github.com/CoinCheung/BiSeNet's form"),
    "fast-scnn": Published(68.6, "val", FULL, 1.11, APACHE, "arXiv 1902.04502; code of github.com/Tramac/Fast-SCNN-pytorch"),
    "ffnet-40s": Published(79.2, "val", FULL, 13.9, BSD_CLEAR, "github.com/Qualcomm-AI-research/FFNet; parameters of Qualcomm AI Hub"),
    "regseg": Published(78.3, "test", FULL, 3.34, MIT, "arXiv 2111.09957 and github.com/RolandGao/RegSeg"),
    "stdc-stdc1": Published(74.5, "val", THREE_QUARTERS, 8.29, MIT, "arXiv 2104.13188; parameters of PaddleSeg's model zoo"),
    "stdc-stdc2": Published(77.0, "val", THREE_QUARTERS, 12.33, MIT, "arXiv 2104.13188; parameters of PaddleSeg's model zoo"),
}
