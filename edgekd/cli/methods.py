"""`edgekd methods`."""

from typing import Any

import click

from edgekd.cli.options import json_option, print_json


@click.command()
@click.option("--table", "published", is_flag=True, help="Print the published results and the command that trains each row.")
@json_option
def command(published: bool, as_json: bool) -> None:
    """List the distillation methods: what each shorthand stands for, and what each transfer needs."""
    document, show = (_published, _show_published) if published else (_methods, _show_methods)
    if as_json:
        print_json(document())
    else:
        show()


def _methods() -> dict[str, Any]:
    from edgekd.distill.methods import METHODS
    from edgekd.distill.registry import TRANSFERS

    transfers = {
        name: {"paper": kind.paper, "weight": kind.default_weight, "needs": sorted(kind.needs), "companions": list(kind.companions)}
        for name, kind in TRANSFERS.items()
    }
    return {"methods": METHODS, "transfers": transfers}


def _show_methods() -> None:
    from edgekd.console import table
    from edgekd.distill.methods import METHODS, SUMMARIES
    from edgekd.distill.registry import TRANSFERS

    rows = []
    for name, piece in METHODS.items():
        parts = " + ".join(transfer.get("name", transfer["method"]) for transfer in piece["transfer"]) or "–"
        rows.append([name, parts, SUMMARIES[name]])
    table("--method", ["method", "transfers", "what it is"], rows)
    rows = [
        [name, kind.paper, f"{kind.default_weight:g}", ", ".join(sorted(kind.needs)) or "–", ", ".join(kind.companions) or "–"]
        for name, kind in TRANSFERS.items()
    ]
    table("transfer", ["transfer", "paper", "weight", "needs", "published with"], rows)


def _published() -> dict[str, Any]:
    """All figures with whole commands."""
    from edgekd.distill.published import load_published

    everything = load_published()
    return {
        "rows": [
            {
                "paper": table.paper,
                **row.model_dump(exclude={"columns"}),
                "differs": [*table.differs, *row.differs],
                "commands": table.commands(row),
            }
            for table in everything.tables
            for row in table.rows
        ],
        "ablations": [
            {"paper": group.paper, "recipe": group.recipe, "what": case.what, "miou": case.miou, "command": group.command(case)}
            for group in everything.ablations
            for case in group.cases
        ],
    }


def _show_published() -> None:
    """Plain lines, a figure and its command in each: the commands are too long for a table."""
    from edgekd.distill.published import load_published

    everything = load_published()
    click.echo("Published val mIoU in %. Rows of different papers have different schedules: compare within one.")
    for table in everything.tables:
        click.echo(f"\n{table.paper}, {table.about}\n\n  In every row below still differs:")
        _show_list(table.differs)
        for row in table.rows:
            click.echo(f"\n  {row.data} {row.student} (teacher {_figure(row.teacher)})")
            for name, line in table.commands(row).items():
                click.echo(f"    {name:6} {_figure(row.miou[name])}  {line}")
            _show_list(row.differs)
    for group in everything.ablations:
        click.echo(f"\n{group.paper}, {group.about}\n")
        for case in group.cases:
            click.echo(f"    {case.what:23} {case.miou:.2f}  {group.command(case)}")


def _figure(miou: float | None) -> str:
    return "–" if miou is None else f"{miou:.2f}"


def _show_list(differs: list[str]) -> None:
    for each in differs:
        click.echo(f"    differs: {each}")
