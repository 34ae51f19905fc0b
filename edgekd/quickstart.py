"""The whole chain, once: teacher, student alone, student distilled, export, benchmark, video, page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd import parts, pipeline
from edgekd.config import Recipe
from edgekd.console import note, progress
from edgekd.data import Layout, open_split
from edgekd.data.streetscape import drive
from edgekd.export.onnx import export_run
from edgekd.measure.benchmark import bench_models
from edgekd.measure.samples import sample_rows
from edgekd.report.page import SampleRow, write_report
from edgekd.report.standalone import write_picture
from edgekd.runs import open_run
from edgekd_runtime.backends import USUAL, open_session
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.files import write_image
from edgekd_runtime.image import legend, text
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import Measurement, save_results
from edgekd_runtime.video import demo, video_writer

VIDEO_FRAMES, VIDEO_FPS = 150, 15.0
VIDEO_SCALE = 3
"""The camera's picture is this many times the network's input, as a real one would be."""
SHEET_SCALE = 2
SAMPLES = 4


@dataclass(frozen=True)
class Quickstart:
    """What the chain leaves behind.

    Attributes:
        measured: Teacher, baseline and distilled student.
        report: The HTML page.
        video: The overlay video.
    """

    measured: list[Measurement]
    report: Path
    video: Path


def quickstart(recipe: Recipe, out: Path) -> Quickstart:
    """Run the chain into a folder, replacing what an earlier one left there.

    Args:
        recipe: On drawn streets, with a teacher model.
        out: Folder of runs, results, video and page.
    """
    runs = {"teacher": out / "teacher", "baseline": out / "baseline", "distilled": out / "distilled"}
    note("1/6 teacher")
    pipeline.train(parts.teacher_part(recipe), runs["teacher"], overwrite=True)
    note("2/6 student alone")
    pipeline.train(parts.student_part(recipe), runs["baseline"], overwrite=True)
    note("3/6 student under the teacher")
    taught = recipe.model_copy(
        update={
            "method": "+".join(transfer.method for transfer in recipe.transfer),
            "teacher": recipe.teacher.model_copy(update={"run": str(runs["teacher"])}),
        }
    )
    pipeline.distill(taught, runs["distilled"], overwrite=True)
    note("4/6 export")
    layout = open_split(recipe)
    files = [_export(run, layout) for run in runs.values()]
    note("5/6 benchmark of the exported files")
    measured = bench_models(files, Timing(seconds=2.0), backends=[USUAL[".onnx"]])
    save_results(out / "bench.json", measured)
    note("6/6 video and page")
    video = _video(files[-1], recipe.data.size, out)
    rows = sample_rows(layout, dict(zip(runs, files, strict=True)), SAMPLES)
    write_image(out / "samples.png", sample_sheet(rows, layout.classes))
    write_report(measured, out / "report.html", samples=rows, title="edgekd quickstart", note=_note(recipe))
    write_picture(measured, out / "pareto.svg")
    return Quickstart(measured, out / "report.html", video)


def _export(run: Path, layout: Layout) -> Path:
    done = open_run(run)
    export_run(run, done.recipe, layout, done.fp32.parent)
    return done.fp32


def _video(model: Path, size: tuple[int, int], out: Path) -> Path:
    """Draw a drive and run the model on it."""
    size = (VIDEO_SCALE * size[0], VIDEO_SCALE * size[1])
    with video_writer(out / "drive.mp4", VIDEO_FPS, size) as write, progress("drawing the drive") as update:
        for done, (image, _) in enumerate(drive(VIDEO_FRAMES, size=size, seed=1), 1):
            write(image)
            update(done, VIDEO_FRAMES)
    with open_session(model) as session, progress("demo") as update:
        demo(session, out / "drive.mp4", out / "overlay.mp4", progress=update)
    return out / "overlay.mp4"


def sample_sheet(rows: list[SampleRow], classes: ClassSet) -> NDArray[np.uint8]:
    """All samples as one picture: a row each, what it is written on the first, the legend at the right."""
    lines = []
    for number, row in enumerate(rows):
        cells = []
        for name, picture in row.pictures.items():
            cell = picture.repeat(SHEET_SCALE, 0).repeat(SHEET_SCALE, 1)
            if number == 0:
                text(cell, name, (6, 20), 0.6)
            cells.append(cell)
        lines.append(np.hstack(cells))
    sheet = np.vstack(lines)
    return np.hstack([sheet, legend(classes, len(sheet))])


def _note(recipe: Recipe) -> str:
    teacher = recipe.teacher.model.name if recipe.teacher.model else "its teacher"
    return (
        f"{recipe.student.name} trained {recipe.train.steps} steps alone and under {teacher}, "
        f"from scratch, on procedurally drawn streets at {recipe.data.size[0]}×{recipe.data.size[1]}; "
        f"seed {recipe.train.seed}."
    )
