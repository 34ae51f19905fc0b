"""Data layouts. `LAYOUTS` is the list: to add one, write its file and a line here."""

from inspect import signature
from pathlib import Path
from typing import Any

from edgekd.config import Recipe
from edgekd.data.layout import Layout, Sample
from edgekd.data.part import Part
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.plugins import load_own, look_up

LAYOUTS = {
    "ade20k": "edgekd.data.ade20k:ADE20K",
    "camvid": "edgekd.data.camvid:CamVid",
    "camvid32": "edgekd.data.camvid32:CamVid32",
    "cityscapes": "edgekd.data.cityscapes:Cityscapes",
    "coco_stuff": "edgekd.data.coco_stuff:COCOStuff",
    "folder": "edgekd.data.folder:Folder",
    "pascal_context": "edgekd.data.pascal_context:PascalContext",
    "streetscape": "edgekd.data.streetscape:Streetscape",
    "voc": "edgekd.data.voc:VOC",
}


def layout_class(name: str) -> Any:
    """The class of a layout by name: called with the split and the layout's own options.

    Raises:
        UsageError: If there is none of that name.
    """
    found = look_up(name, LAYOUTS, "data layout", "edgekd data layouts")
    return load_own(found) if isinstance(found, str) else found


def open_layout(name: str, split: str, root: str | None = None, *, faults: bool = False, **options: Any) -> Layout:
    """Open one split of a data set.

    Args:
        name: A key of `LAYOUTS`.
        split: e.g. ``train``.
        root: Folder of the data; layouts that draw their own images take none.
        faults: Let files without a partner pass, for ``edgekd data check``.
        options: The layout's own keyword arguments.

    Raises:
        UsageError: If the layout, the split or an option is unknown, or the root is missing.
        EdgeKDError: If the data is not as the layout expects.
    """
    if not split or Path(split).is_absolute() or ".." in Path(split).parts:
        raise UsageError(f"{split!r} is no name of a split; e.g. train or val.")
    kind = layout_class(name)
    known = signature(kind).parameters
    if root is not None and "root" in known:
        options["root"] = root
    if "root" in known and "root" not in options:
        raise UsageError(f"The layout {name} needs its folder: give --data-root, or data.root in the recipe. It expects\n{kind.tree}")
    for option in options:
        if option not in known:
            raise UsageError(f"The layout {name} has no option {option!r}{nearest(option, known)}.")
    layout = kind(split, **options)
    stray = getattr(layout, "faults", [])
    if stray and not faults:
        raise EdgeKDError(f"{stray[0]} ({len(stray)} such in all; `edgekd data check` lists them).")
    return layout


def open_split(recipe: Recipe, split: str | None = None) -> Layout:
    """A split of the recipe's data; its validation split where none is named."""
    return open_layout(recipe.data.layout, split or recipe.data.val, recipe.data.root, **recipe.data.options)


def open_training(recipe: Recipe) -> Layout:
    """The training split of the recipe's data, or as much of it as is labelled."""
    whole = open_split(recipe, recipe.data.train)
    labelled = recipe.data.labelled
    if labelled is not None and labelled > len(whole):
        raise UsageError(f"data.labelled is {labelled}, but the split {recipe.data.train} has {len(whole)} samples; lower it.")
    return whole if labelled is None else Part(whole, whole.spread(labelled))


__all__ = ["LAYOUTS", "Layout", "Sample", "layout_class", "open_layout", "open_split", "open_training"]
