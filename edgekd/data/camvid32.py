"""CamVid as Cambridge distributes it (Brostow et al., 2009): 32 colours at full size, read as the 11 classes of `camvid`."""

from edgekd.data.camvid import CLASSES
from edgekd.data.files import label_table
from edgekd.data.forms import Distributed, MaskFiles
from edgekd.data.labels import read_labels

_COLOURS = {label.colour: label.value for label in read_labels("camvid32")}
_DENSE = r"0(79[5-9]|80\d|81[0-5])\d"  # frames 7959–8159, labelled at 15 Hz, the others at 1 Hz
# SegNet's split; 0001TP is cut in half after frame 8520
_SPLITS = {
    "train": r"0001TP_00([67]\d{3}|8[0-4]\d\d|85[0-4]\d)|0006R0_.*|0016E5_(?!" + _DENSE + r")\d+",
    "val": r"0016E5_" + _DENSE,
    "test": r"0001TP_(00(85[5-9]\d|8[6-9]\d\d|9\d{3})|01\d{4})|Seq05VD_.*",
}


class CamVid32(Distributed):
    """One split of the original CamVid: 367, 101 and 233 images, as in SegNet (Badrinarayanan et al., 2017)."""

    title = "CamVid (Cambridge): street video, 32 colours read as 11 classes, 720×960"
    tree = "ROOT/701_StillsRaw_full/*.png  ROOT/LabeledApproved_full/*_L.png  (colours; black ignored)"
    classes = CLASSES
    splits = {
        split: (
            MaskFiles(
                "701_StillsRaw_full", (("LabeledApproved_full", "_L.png"),), label_table({}), ".png", pattern=pattern, colours=_COLOURS
            ),
        )
        for split, pattern in _SPLITS.items()
    }
