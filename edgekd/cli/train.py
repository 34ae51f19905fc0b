"""`edgekd train`."""

from pathlib import Path
from typing import Any

import click

from edgekd.cli.options import next_command, recipe_from, recipe_options, run_options
from edgekd_runtime.errors import UsageError


@click.command()
@recipe_options
@click.option("--part", type=click.Choice(["student", "teacher"]), default="student", show_default=True, help="Which model of the recipe.")
@click.option("--label-assisted", is_flag=True, help="LAD's teacher: the student's architecture, shown the noised label.")
@run_options
def command(part: str, label_assisted: bool, out: Path | None, resume: bool, overwrite: bool, **options: Any) -> None:
    """Train a teacher, or the student alone (the baseline of every distillation).

    edgekd train --recipe camvid --data-root ~/CamVid --part teacher --out runs/teacher
    """
    from edgekd import pipeline

    if resume:
        if out is None:
            raise UsageError("--resume needs --out, the run to go on with.")
        recipe = pipeline.run_recipe(out)
    else:
        recipe = recipe_from(options, {"teacher": {"label_assisted": True}} if label_assisted else {})
        recipe = pipeline.teacher_part(recipe) if part == "teacher" or label_assisted else pipeline.student_part(recipe)
    folder = out or Path("runs") / f"{recipe.name}-{recipe.method}"
    pipeline.train(recipe, folder, resume=resume, overwrite=overwrite)
    following = "edgekd distill --teacher" if recipe.method.endswith("teacher") else "edgekd export"
    next_command(f"{following} {folder}")
