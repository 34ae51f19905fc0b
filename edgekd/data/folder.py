"""Your own data: folders of images and masks, described by a `dataset.yaml`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from edgekd.config import Strict, read_yaml, validate
from edgekd.data.files import FileLayout, colour_table, label_table, pair_files
from edgekd_runtime.classes import IGNORE, ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError


class FolderFile(Strict):
    """What `dataset.yaml` may say.

    Attributes:
        names: Class names in label order.
        palette: One RGB colour a class, for pictures and for masks that store colours; made up where absent.
        mapping: Stored mask value → class index; the identity where absent.
        ignore: Stored mask values that no loss and no metric counts.
    """

    names: list[str] = Field(min_length=1, max_length=255)
    palette: list[tuple[int, int, int]] | None = None
    mapping: dict[int, int] | None = None
    ignore: list[Annotated[int, Field(ge=0, le=255)]] = [IGNORE]


class Folder(FileLayout):
    """One split of a folder data set.

    Args:
        split: Any name that the tree has.
        root: Folder that holds `dataset.yaml`.

    Raises:
        EdgeKDError: If the tree or `dataset.yaml` is missing or wrong.
    """

    title = "Your own images and masks, described by dataset.yaml"
    tree = "ROOT/dataset.yaml (names, mapping, …)  ROOT/SPLIT/images  ROOT/SPLIT/masks  or  ROOT/images/SPLIT  ROOT/masks/SPLIT"

    def __init__(self, split: str = "train", *, root: str) -> None:
        description = self._describe(Path(root, "dataset.yaml"))
        count = len(description.names)
        palette = tuple(description.palette) if description.palette else default_palette(count)
        mapping = description.mapping or {value: value for value in range(count)}
        wrong = [f"{key}: {value}" for key, value in mapping.items() if not (0 <= key <= 255 and 0 <= value < count)]
        if wrong:
            raise EdgeKDError(f"{root}/dataset.yaml maps {wrong[0]}, but values are 0–255 and classes 0–{count - 1}.")
        pairs, faults = pair_files(*self._folders(Path(root), split), self.tree)
        classes = ClassSet(tuple(description.names), palette)
        colours = colour_table(classes) if description.palette else None
        super().__init__(pairs, faults, classes, label_table(mapping, description.ignore), colours)

    def _describe(self, path: Path) -> FolderFile:
        if not path.is_file():
            raise EdgeKDError(f"No {path}; this layout expects\n{self.tree}")
        document: dict[str, Any] = read_yaml(path)
        return validate(FolderFile, document, str(path))

    def _folders(self, root: Path, split: str) -> tuple[Path, Path]:
        if (root / "images" / split).is_dir():
            return root / "images" / split, root / "masks" / split
        return root / split / "images", root / split / "masks"
