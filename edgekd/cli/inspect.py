"""`edgekd inspect`."""

from pathlib import Path
from typing import Any

import click

from edgekd.cli.options import json_option, print_json


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--layers", is_flag=True, help="Also list every layer.")
@json_option
def command(file: Path, layers: bool, as_json: bool) -> None:
    """Show what FILE, a model.onnx or model.engine, holds: inputs, operators, precision by layer, Q/DQ coverage, cost, sidecar."""
    from edgekd.export.inspection import inspect_model

    found = inspect_model(file)
    if as_json:
        print_json(found)
        return
    _show(file, found, layers)


def _show(file: Path, found: dict[str, Any], layers: bool) -> None:
    from edgekd.console import table

    graph, sidecar = found.get("graph"), found.get("sidecar")
    facts = [["size", f"{file.stat().st_size / 1e6:.2f} MB"]]
    if graph:
        facts += [[f"input {name}", shape] for name, shape in graph["inputs"].items()]
        facts += [[f"output {name}", shape] for name, shape in graph["outputs"].items()]
        facts.append(["opset", str(graph["opset"])])
        facts.append(["cost", f"{graph['gflops']:.2f} GFLOPs, {graph['parameters_m']:.2f} M parameters"])
        facts.append(["layers", ", ".join(f"{count} {name}" for name, count in graph["precisions"].items())])
        facts.append(["INT8 coverage", f"{100 * graph['quantised']:.1f} % of the operations"])
        facts.append(["operators", ", ".join(f"{count} {name}" for name, count in graph["operators"].items())])
        facts.append(["TensorRT", "; ".join(graph["tensorrt"]) or "no known fault"])
    facts += [
        [key, str(sidecar[key])]
        for key in ("name", "model", "precision", "size", "sha256", "engine", "versions")
        if sidecar and sidecar[key]
    ]
    if found.get("rebuild"):
        facts.append(["built again by", found["rebuild"]])
    table(str(file), ["what", "is"], facts)
    if found.get("engine_layers"):
        title = "Engine layers, as recorded when it was built" if found["not_looked_into"] else "Engine layers"
        table(title, ["precision", "count"], [[name, str(count)] for name, count in found["engine_layers"].items()])
    if found.get("not_looked_into"):
        click.echo(found["not_looked_into"])
    if graph and layers:
        rows = [[layer["name"], layer["op"], layer["precision"], f"{layer['gflops']:.4f}"] for layer in graph["layers"]]
        table("Layers", ["name", "operator", "precision", "GFLOPs"], rows)
