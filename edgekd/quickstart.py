"""The whole chain, once: a recording without labels, teacher, student alone, student distilled, export, benchmark, video, page."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd import parts, pipeline
from edgekd.config import Recipe
from edgekd.console import note, progress
from edgekd.data import Layout, Sample, open_split, open_training
from edgekd.data.streetscape import drive, recording
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

LABELS = 4
"""Labelled scenes that the students have, unless the recipe says how many; the teacher, as a large network that exists already, has all."""
STREETS, FRAMES_OF_A_STREET, RECORDED_FPS = 64, 8, 5.0
"""The unlabelled recording; its file is of still images (.avi), so that it is the same on every machine."""
VIDEO_FRAMES, VIDEO_FPS = 150, 15.0
VIDEO_SCALE = 2
"""The camera's picture is this many times the network's input, as a real one would be."""
SAMPLES = 3
HEAD = 26
"""Pixels above the picture, for what is written there."""
SHOWN = {"label": "label", "baseline": "student alone", "distilled": "distilled with video"}
"""Columns of the picture beside the image, and what is written on them."""


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
        out: Folder of recording, runs, results, video and page.
    """
    runs = trainings(recipe, out)
    note("5/7 export")
    layout = open_split(recipe)
    files = [_export(run, layout) for run in runs.values()]
    note("6/7 benchmark of the exported files")
    measured = bench_models(files, Timing(seconds=2.0), backends=[USUAL[".onnx"]])
    save_results(out / "bench.json", measured)
    note("7/7 video and page")
    video = _video(files[-1], recipe.data.size, out)
    rows = sample_rows(layout, dict(zip(runs, files, strict=True)), SAMPLES)
    scores = dict(zip(runs, (one.accuracy.miou for one in measured if one.accuracy), strict=True))
    write_image(out / "samples.png", sample_sheet(rows, layout.classes, scores))
    write_report(measured, out / "report.html", samples=rows, title="edgekd quickstart", note=_note(recipe))
    write_picture(measured, out / "pareto.svg")
    return Quickstart(measured, out / "report.html", video)


def trainings(recipe: Recipe, out: Path) -> dict[str, Path]:
    """The trainings of the chain: a teacher on all labels, a student alone on few, and one under the teacher with a recording besides.

    Args:
        recipe: As for `quickstart`.
        out: Folder of recording and runs.

    Returns:
        Run folders by name: ``teacher``, ``baseline`` and ``distilled``.
    """
    runs = {name: out / name for name in ("teacher", "baseline", "distilled")}
    few, whole = _labels(recipe, recipe.data.labelled or LABELS), _labels(recipe, None)
    note(f"1/7 a recording of {STREETS} streets that nobody labelled")
    size, count = recipe.data.size, STREETS * FRAMES_OF_A_STREET
    recorded = _draw(out / "unlabelled.avi", recording(STREETS, FRAMES_OF_A_STREET, size=size), count, RECORDED_FPS, size)
    note(f"2/7 teacher, on {len(open_training(whole))} labelled scenes: the large network that there is already")
    pipeline.train(parts.teacher_part(whole), runs["teacher"], overwrite=True)
    note(f"3/7 student alone, on {few.data.labelled} labelled scenes")
    pipeline.train(parts.student_part(few), runs["baseline"], overwrite=True)
    note(f"4/7 student under the teacher, on the same {few.data.labelled} scenes and the recording")
    taught = few.model_copy(
        update={
            "method": "+".join(transfer.method for transfer in few.transfer),
            "data": few.data.model_copy(update={"unlabelled": [str(recorded)]}),
        }
    )
    pipeline.distill(parts.with_teacher_run(taught, runs["teacher"]), runs["distilled"], overwrite=True)
    return runs


def _labels(recipe: Recipe, count: int | None) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"labelled": count})})


def _export(run: Path, layout: Layout) -> Path:
    done = open_run(run)
    export_run(run, done.recipe, layout, done.fp32.parent)
    return done.fp32


def _draw(file: Path, frames: Iterable[Sample], count: int, fps: float, size: tuple[int, int]) -> Path:
    """Write drawn frames as a video."""
    with video_writer(file, fps, size) as write, progress(f"drawing {file.name}") as update:
        for done, (image, _) in enumerate(frames, 1):
            write(image)
            update(done, count)
    return file


def _video(model: Path, size: tuple[int, int], out: Path) -> Path:
    """Draw a drive and run the model on it."""
    size = (VIDEO_SCALE * size[0], VIDEO_SCALE * size[1])
    drawn = _draw(out / "drive.mp4", drive(VIDEO_FRAMES, size=size, seed=1), VIDEO_FRAMES, VIDEO_FPS, size)
    with open_session(model) as session, progress("demo") as update:
        demo(session, drawn, out / "overlay.mp4", progress=update)
    return out / "overlay.mp4"


def sample_sheet(rows: list[SampleRow], classes: ClassSet, scores: dict[str, float]) -> NDArray[np.uint8]:
    """Unseen scenes as one picture: image, label, and what the student says that learnt alone and the one that was distilled.

    Args:
        rows: Of all models.
        classes: For the legend at the right.
        scores: mIoU over the whole split, by model.
    """
    titles = {"image": "unseen image"} | {
        name: f"{words}, mIoU {100 * scores[name]:.0f}" if name in scores else words for name, words in SHOWN.items()
    }
    lines = [np.hstack([row.pictures[name] for name in titles]) for row in rows]
    width = lines[0].shape[1] // len(titles)
    head = np.full((HEAD, lines[0].shape[1], 3), 24, np.uint8)
    for column, words in enumerate(titles.values()):
        text(head, words, (column * width + 6, HEAD - 8), 0.5)
    sheet = np.vstack([head, *lines])
    return np.hstack([sheet, legend(classes, len(sheet))])


def _note(recipe: Recipe) -> str:
    """What was trained on what, for the page."""
    teacher = recipe.teacher.model.name if recipe.teacher.model else "its teacher"
    whole, few = len(open_training(_labels(recipe, None))), recipe.data.labelled or LABELS
    return (
        f"Drawn streets at {recipe.data.size[0]}×{recipe.data.size[1]}, everything from scratch, seed {recipe.train.seed}. "
        f"The teacher ({teacher}) had {whole} labelled scenes, both students ({recipe.student.name}) the labels of {few} of them; "
        f"the distilled one also saw {STREETS * FRAMES_OF_A_STREET} frames of other streets that nobody labelled, under the teacher, "
        f"in as many steps ({recipe.train.steps}). All are scored on scenes that none of them saw."
    )
