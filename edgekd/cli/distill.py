"""`edgekd distill`."""

from pathlib import Path
from typing import Any

import click

from edgekd.cli import complete
from edgekd.cli.options import next_command, recipe_from, recipe_options, refuse_beside_resume, run_options
from edgekd_runtime.errors import UsageError


@click.command()
@recipe_options
@click.option(
    "--method", shell_complete=complete.methods, help="Shorthand for teacher, weighting and transfers; `edgekd methods` lists them."
)
@click.option(
    "--teacher",
    shell_complete=complete.sources,
    help="Trained teacher: run folder, .safetensors, package.module:function, hf:FOLDER_OR_ID, .onnx, .pt2 or TorchScript; without it the "
    "recipe's teacher is trained first.",
)
@click.option(
    "--teacher-steps",
    type=click.IntRange(min=1),
    help="Optimiser steps of the teacher if it is trained first; the recipe's by default.",
)
@click.option(
    "--unlabelled",
    multiple=True,
    metavar="PATH",
    help="Folder of images, pattern such as 'frames/*.png', or video file that is distilled without labels, beside the labelled images. "
    "May be repeated.",
)
@click.option(
    "--label-free",
    is_flag=True,
    help="Learn from --teacher on --unlabelled alone, with its classes; the last tenth of each source is held out, where scores are "
    "agreement with the teacher.",
)
@click.option("--trust", is_flag=True, help="Open a teacher's file that holds code (.pt2, TorchScript), which can run on this machine.")
@click.option("--qat", is_flag=True, help="Fine-tune the student of the run in --recipe with INT8's rounding, under its teacher.")
@click.option(
    "--dump-difficulty", type=click.IntRange(min=1), metavar="N", help="Write RDD's difficulty maps of N validation images as pictures."
)
@run_options
def command(
    method: str | None,
    teacher: str | None,
    teacher_steps: int | None,
    unlabelled: tuple[str, ...],
    label_free: bool,
    trust: bool,
    dump_difficulty: int | None,
    out: Path | None,
    qat: bool,
    resume: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a student under a teacher.

    \b
    edgekd distill --recipe camvid --data-root CamVid --method rdd --teacher runs/teacher
    edgekd distill --recipe camvid --teacher runs/teacher --unlabelled drive.mp4
    edgekd distill --label-free --teacher hf:FOLDER_OR_ID --unlabelled drive.mp4
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with a backspace
    from edgekd import parts, pipeline
    from edgekd.distill.methods import method_recipe
    from edgekd.parts import teacher_piece
    from edgekd.runs import open_run

    if resume:
        refuse_beside_resume(click.get_current_context())
        recipe = open_run(out).recipe  # type: ignore[arg-type]  # just checked
    else:
        pieces = [{**method_recipe(method), "method": method}] if method else []
        if qat:
            pieces.append(parts.quantised_fine_tuning(Path(options["recipe"]), method))
        if teacher:
            pieces.append(teacher_piece(teacher, trust))
        elif trust:
            raise UsageError("--trust goes with --teacher; in a recipe give teacher.source as {name: FILE, trust: true}.")
        if teacher_steps is not None:
            if teacher:
                raise UsageError("--teacher names a trained teacher, so --teacher-steps does nothing; leave one of them out.")
            pieces.append({"teacher": {"steps": teacher_steps}})
        if unlabelled:
            pieces.append({"data": {"unlabelled": list(unlabelled)}})
        recipe = recipe_from(options, *pieces)
    folder = out or Path("runs") / f"{recipe.name}-{recipe.method}"
    if label_free:
        from edgekd.label_free import label_free as without_labels

        recipe = without_labels(recipe, folder, overwrite)
    pipeline.distill(recipe, folder, resume=resume, overwrite=overwrite)
    if dump_difficulty:
        files = pipeline.difficulty_pictures(folder, dump_difficulty)
        click.echo(f"{len(files)} difficulty maps in {files[0].parent}")
    next_command("edgekd", "export", folder)
