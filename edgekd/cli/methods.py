"""`edgekd methods`."""

import click

from edgekd.cli.options import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Distillation methods: what each shorthand stands for, and what each transfer needs."""
    from edgekd.console import table
    from edgekd.distill.methods import METHODS, SUMMARIES
    from edgekd.distill.registry import TRANSFERS

    if as_json:
        transfers = {
            name: {"paper": kind.paper, "weight": kind.default_weight, "needs": sorted(kind.needs), "companions": list(kind.companions)}
            for name, kind in TRANSFERS.items()
        }
        print_json({"methods": METHODS, "transfers": transfers})
        return
    rows = []
    for name, piece in METHODS.items():
        parts = " + ".join(transfer["method"] for transfer in piece["transfer"]) or "–"
        teacher = "label-assisted" if piece.get("teacher", {}).get("label_assisted") else "any"
        rows.append([name, teacher, piece.get("task", {}).get("weighting", "plain"), parts, SUMMARIES[name]])
    table("--method", ["method", "teacher", "task weighting", "transfers", "what it is"], rows)
    rows = [
        [name, kind.paper, f"{kind.default_weight:g}", ", ".join(sorted(kind.needs)) or "–", ", ".join(kind.companions) or "–"]
        for name, kind in TRANSFERS.items()
    ]
    table("transfer", ["transfer", "paper", "weight", "needs", "published with"], rows)
