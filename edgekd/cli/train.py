"""`edgekd train`."""

from pathlib import Path
from typing import Any

import click

from edgekd.cli.options import carried_options, next_command, recipe_from, recipe_options, refuse_beside_resume, run_options


@click.command()
@recipe_options
@click.option(
    "--part", type=click.Choice(["student", "teacher"]), default="student", show_default=True, help="Network of the recipe to train."
)
@click.option("--label-assisted", is_flag=True, help="LAD's teacher: the student's architecture, shown the noised label.")
@run_options
def command(part: str, label_assisted: bool, out: Path | None, resume: bool, overwrite: bool, **options: Any) -> None:
    """Train a teacher, or the student alone (the baseline of every distillation).

    edgekd train --recipe camvid --data-root ~/CamVid --part teacher --out runs/teacher
    """
    from edgekd import parts, pipeline
    from edgekd.runs import open_run

    if resume:
        refuse_beside_resume(click.get_current_context())
        recipe = open_run(out).recipe  # type: ignore[arg-type]  # just checked
    elif part == "teacher" or label_assisted:
        piece = {"teacher": {"label_assisted": True}} if label_assisted else {}
        recipe = parts.teacher_part(recipe_from(_of_teacher(options, label_assisted), piece))
    else:
        recipe = parts.student_part(recipe_from(options))
    folder = out or Path("runs") / f"{recipe.name}-{recipe.method}"
    pipeline.train(recipe, folder, resume=resume, overwrite=overwrite)
    if recipe.method.endswith("teacher"):
        shorthand = ["--method", "lad"] if recipe.objective == "label-assisted" else []
        next_command("edgekd", "distill", *carried_options(click.get_current_context()), *shorthand, "--teacher", folder)
    else:
        next_command("edgekd", "export", folder)


def _of_teacher(options: dict[str, Any], label_assisted: bool) -> dict[str, Any]:
    """--steps, --student and --weights mean the model that is trained, here the teacher; LAD's has the student's architecture."""
    targets = (
        {"steps": "teacher.steps"}
        if label_assisted
        else {"steps": "teacher.steps", "student": "teacher.model.name", "weights": "teacher.model.weights"}
    )
    moved = tuple(f"{key}={options[name]}" for name, key in targets.items() if options[name] is not None)
    return {**options, **dict.fromkeys(targets), "assignments": moved + options["assignments"]}
