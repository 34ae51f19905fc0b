"""`edgekd recipes`."""

import click

from edgekd.cli import complete
from edgekd.cli.options import json_option, print_json
from edgekd_runtime.errors import UsageError


@click.command()
@click.argument("name", required=False, shell_complete=complete.recipes)
@click.option("--method", shell_complete=complete.methods, help="Print the recipe with this method's teacher, weighting and transfers.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any recipe key, e.g. train.lr=0.01. May be repeated.")
@json_option
def command(name: str | None, method: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """List the recipes that ship, or print the recipe NAME (one of them, a YAML file or a run folder) with every key and its value."""
    from edgekd.distill.methods import method_recipe
    from edgekd.loading import assignment, dump_recipe, load_recipe, shipped_recipes

    if name is None:
        if method or assignments:
            raise UsageError("--method and --set change one recipe; name it.")
        if as_json:
            print_json(shipped_recipes())
            return
        for each in shipped_recipes():
            recipe = load_recipe(each)
            teacher = (
                recipe.teacher.model.name
                if recipe.teacher.model
                else "a label-assisted teacher"
                if recipe.teacher.label_assisted
                else "no teacher"
            )
            click.echo(f"{each:46} {recipe.train.steps:6} steps  {recipe.data.layout}")
            click.echo(f"    {recipe.student.name} under {teacher}")
        return
    pieces = [{**method_recipe(method), "method": method}] if method else []
    recipe = load_recipe(name, [*pieces, *(assignment(text) for text in assignments)])
    if as_json:
        print_json(recipe.model_dump(mode="json"))
    else:
        click.echo(dump_recipe(recipe), nl=False)
