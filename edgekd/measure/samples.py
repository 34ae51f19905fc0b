"""Example pictures of a report: scenes with their label, what the measured model files make of them, and where they are wrong."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from edgekd.console import note, progress
from edgekd.data import Layout
from edgekd.data.files import FileLayout
from edgekd.measure.pytorch import register_torch
from edgekd.measure.score import artifact_layout
from edgekd.report.pictures import SampleRow, error_map
from edgekd.report.rows import short_path
from edgekd_runtime.backends import describe, open_session
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.image import paint
from edgekd_runtime.measurement import Measurement


def sample_rows(layout: Layout, models: dict[str, Path], count: int) -> list[SampleRow]:
    """Images spread over a split, with their label and each model's class map, painted, and where it differs from the label.

    Args:
        layout: The split.
        models: Title → model file.
        count: How many images.
    """
    rows = []
    with ExitStack() as stack, progress("pictures") as update:
        sessions = {name: stack.enter_context(open_session(file)) for name, file in models.items()}
        for done, index in enumerate(layout.spread(count), 1):
            image, label = layout.read(index)
            maps = {name: session.predict(image, (image.shape[0], image.shape[1])) for name, session in sessions.items()}
            painted = {name: paint(classes, layout.classes) for name, classes in {"label": label, **maps}.items()}
            wrong = {name: error_map(label, classes) for name, classes in maps.items()}
            rows.append(SampleRow(_scene(layout, index), {"image": image, **painted}, wrong))
            update(done, min(count, len(layout)))
    return rows


def _scene(layout: Layout, index: int) -> str:
    """The image's name; the folders that a file lies in are left out, since a page is passed on."""
    name = layout.name(index)
    return Path(name).name if isinstance(layout, FileLayout) else name


def measured_samples(results: Sequence[Measurement], count: int, root: str | None = None) -> list[SampleRow]:
    """`sample_rows` of every file that was measured, on the first one's data; those of other classes are left out and named.

    Args:
        results: Measurements.
        count: How many images.
        root: Folder of the data, where it has moved.

    Raises:
        EdgeKDError: If a file is gone, or was measured on another machine.
    """
    files = {one.artifact.sha256: (one.artifact.name, Path(one.path)) for one in results}
    models: dict[str, Path] = {}
    for name, file in files.values():
        if not file.is_file():
            raise EdgeKDError(f"{file} is not here, so there is nothing to show of {name}; leave --samples out, or bench it here.")
        models[name if name not in models else f"{name}, {short_path(str(file.parent))}"] = file
    register_torch()  # a run's own weights may be among them
    layout = artifact_layout(describe(next(iter(models.values()))), root=root)
    for name, file in list(models.items()):
        if describe(file).classes.names != layout.classes.names:
            note(f"No pictures of {name}: it has other classes than the data of {next(iter(models))}; report it apart.")
            del models[name]
    return sample_rows(layout, models, count)
