"""`edgekd check`."""

import click

from edgekd.cli.options import json_option, print_json


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show what can run here: machine, backends and TensorRT builders, each with its version or what is missing."""
    from edgekd.console import table
    from edgekd.measure.pytorch import register_torch
    from edgekd_runtime.check import check_machine

    register_torch()
    found = check_machine()
    if as_json:
        print_json(found)
        return
    machine = {
        **found["device"],
        "gpu": found["gpu"].get("name") or f"none: {found['gpu']['missing']}",
        "jetpack": found["jetpack"] or "no Jetson",
    }
    table("This machine", ["what", "is"], [[str(key), str(value)] for key, value in machine.items()])
    for title in ("backends", "builders"):
        rows = [[name, "yes" if one["usable"] else "no", one["detail"]] for name, one in found[title].items()]
        table({"backends": "Backends", "builders": "Engine builders"}[title], ["name", "usable", "version, or what is missing"], rows)
