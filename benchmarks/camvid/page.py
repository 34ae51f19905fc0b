"""Tables and drawings of the recorded CamVid results beside the recipe: ``cpu.md``, ``cpu-gains.svg``, ``cpu-curves.svg`` of ``cpu.yaml``.

python benchmarks/camvid/page.py [cpu|long] [--runs runs/camvid-cpu --root CAMVID]

With ``--runs`` (where `run.py` left its runs) it also writes ``RUNS/report.html``, the page with pictures; that one shows CamVid images and
stays out of the repository.
"""

import argparse
from io import StringIO
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from jobs import FACTORS, FEW_LABELS, FEW_TEACHERS, OPTIONS, REASONS, STUDENTS, STUDIES, TEACHERS, TUNED, Row
from matplotlib import pyplot as plt

from edgekd.report import palette
from edgekd_runtime.files import read_json, write_text

GROUND, INK = ("#ffffff", "#171d24"), ("#18222d", "#e6ebf0")
"""Light, dark."""
plt.rcParams.update({"svg.hashsalt": "edgekd", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
plt.rcParams.update({f"{name}color": INK[0] for name in ("text.", "axes.label", "axes.edge", "xtick.", "ytick.")})
MARKERS = "so^DvPh*"
"""matplotlib's names of the palette's shapes, in their order."""
HERE = Path(__file__).parent
CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
BASELINE = "alone"
FILES = (
    ("FP32", "", "fp32", "onnxruntime-cpu"),
    ("FP16", "", "fp16", "onnxruntime-cpu"),
    ("INT8", "", "int8", "onnxruntime-cpu"),
    ("INT8", "", "int8", "openvino"),
    ("QAT, INT8", "-qat", "int8", "onnxruntime-cpu"),
    ("QAT, INT8", "-qat", "int8", "openvino"),
)
"""Columns of the exported files: title, end of the run's name, precision, backend."""
Runs = dict[str, dict[int, dict[str, Any]]]


def read_runs(results: Path) -> Runs:
    """Row name → seed → what was recorded."""
    runs: Runs = {}
    for file in sorted(results.glob("*-seed*.json")):
        one = read_json(file)
        runs.setdefault(one["row"], {})[one["seed"]] = one
    return runs


def spread(values: list[float], digits: int = 2, sign: bool = False) -> str:
    """Mean ± standard deviation, the second where there are two or more."""
    plus = "+" if sign else ""
    middle = f"{mean(values):{plus}.{digits}f}"
    return f"{middle} ± {stdev(values):.{digits}f}" if len(values) > 1 else middle


def gains(runs: Runs, row: str) -> list[float]:
    """Points of mIoU over the student alone of the same seed."""
    return [100 * (one["miou"] - runs[BASELINE][seed]["miou"]) for seed, one in runs[row].items() if seed in runs[BASELINE]]


def main_table(runs: Runs, rows: list[Row]) -> list[str]:
    """Accuracy, gain and cost of training."""
    lines = [
        "| | seeds | val mIoU | over the student alone, same seeds | training CPU time, × | per-seed gain |",
        "|---|---:|---:|---:|---:|---|",
    ]
    cost = mean(one["cpu_seconds"] for one in runs[BASELINE].values())
    for row in rows:
        mine = runs[row.name]
        student = row in STUDENTS + OPTIONS and row.name != BASELINE
        gained = gains(runs, row.name) if student else []
        times = f"{mean(one['cpu_seconds'] for one in mine.values()) / cost:.2f}"
        each = ", ".join(f"{gain:+.2f}" for gain in gained)
        score = spread([100 * one["miou"] for one in mine.values()])
        lines.append(f"| {row.title} | {len(mine)} | {score} | {spread(gained, sign=True) if gained else '–'} | {times} | {each or '–'} |")
    return lines


def class_table(runs: Runs, rows: list[Row]) -> list[str]:
    """IoU by class, the mean over seeds."""
    lines = ["| | " + " | ".join(CLASSES) + " |", "|---|" + "---:|" * len(CLASSES)]
    for row in rows:
        columns = zip(*(one["iou"] for one in runs[row.name].values()), strict=True)
        cells = (f"{100 * mean(values):.1f}" if None not in values else "–" for values in columns)
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return lines


def deployed_table(document: dict[str, Any], rows: list[Row]) -> list[str]:
    """mIoU, latency and size of the exported files of seed 0."""
    files = {(one["run"], one["precision"], one["backend"].split()[0]): one for one in document["rows"]}
    table: dict[str, list[Any]] = {}
    for title, suffix, precision, backend in FILES:
        column = [files.get((f"{row.name}-seed0{suffix}", precision, backend)) for row in rows]
        if any(column):
            table[f"{title}, {backend}"] = column
    lines = ["| | " + " | ".join(table) + " |", "|---|" + "---:|" * len(table)]
    for row, measured in zip(rows, zip(*table.values(), strict=True), strict=True):
        cells = (f"{100 * one['miou']:.2f} · {one['p50_ms']:.1f} ms · {one['mb']:.1f} MB" if one else "–" for one in measured)
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
    return lines


def draw_gains(runs: Runs, rows: list[Row], out: Path) -> None:
    """Every seed's gain as a dot, the mean as a bar, the spread of the student alone as a band."""
    shown = sorted((row for row in rows if row.name != BASELINE and gains(runs, row.name)), key=lambda row: mean(gains(runs, row.name)))
    figure, axes = plt.subplots(figsize=(7, 0.32 * len(shown) + 1))
    alone = [100 * one["miou"] for one in runs[BASELINE].values()]
    if len(alone) > 1:
        axes.axvspan(-stdev(alone), stdev(alone), color="#8884", label="student alone, ± 1 standard deviation over seeds")
    for height, row in enumerate(shown):
        values = gains(runs, row.name)
        axes.barh(height, mean(values), color=palette.COLOURS[1][0], alpha=1 if len(values) > 1 else 0.4, height=0.6)
        axes.plot(values, [height] * len(values), "o", color=INK[0], markeredgecolor=GROUND[0], markeredgewidth=0.6, markersize=4.5)
    axes.set_yticks(range(len(shown)), [row.title for row in shown])
    axes.axvline(0, color=INK[0], linewidth=0.8)
    axes.set_xlabel("points of mIoU over the student alone of the same seed (dots: seeds; pale: one seed)")
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    _save(figure, out)


def draw_curves(runs: Runs, rows: list[Row], out: Path) -> None:
    """Validation mIoU over the steps, the mean over seeds."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for number, row in enumerate(rows):
        curves = [one["curve"] for one in runs[row.name].values()]
        steps = [step for step, _ in curves[0]]
        values = [100 * mean(curve[index][1] for curve in curves) for index in range(len(steps))]
        alone = row.name == BASELINE
        style = 0 if alone else number + 1
        look = {"color": palette.COLOURS[palette.colour(style)][0], "marker": MARKERS[palette.marker(style)], "markersize": 4.5}
        axes.plot(steps, values, "--" if alone else "-", linewidth=2 if alone else 1.2, label=row.title, **look)
    axes.set_xlabel("step")
    axes.set_ylabel("val mIoU, %")
    axes.legend(frameon=False, fontsize=7, bbox_to_anchor=(1, 1), loc="upper left")
    _save(figure, out)


def _save(figure: Any, out: Path) -> None:
    """As SVG that follows the reader's theme: in a dark one a style sheet replaces each colour by its dark twin."""
    drawn = StringIO()
    figure.savefig(drawn, format="svg", bbox_inches="tight", facecolor=GROUND[0], metadata={"Date": None})
    plt.close(figure)
    twins = (GROUND, INK, *palette.COLOURS)
    rules = (f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}' for light, dark in twins for kind in ("fill", "stroke"))
    style = f"<style>@media screen and (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
    write_text(out, drawn.getvalue().replace("<defs>", f"{style}<defs>", 1))


def how(runs: Runs) -> str:
    """One paragraph of how it was measured, from what was recorded."""
    one = runs[BASELINE][min(runs[BASELINE])]
    recipe, versions = one["recipe"], one["versions"]
    dates = sorted(run["date"][:10] for row in runs.values() for run in row.values())
    crop, size = (f"{pair[0]}×{pair[1]}" for pair in (recipe["data"]["crop"], recipe["data"]["size"]))
    return (
        f"{recipe['student']['name']} on CamVid train → val (101 images, scored at label size), input {size}, crops {crop}, "
        f"{recipe['train']['steps']} steps of {recipe['train']['batch_size']}; same initial weights, order and augmentation a seed. "
        f"{dates[0]} to {dates[-1]} on {one['gpu'] or one['device']['name']}, {one['threads']} thread(s); PyTorch {versions['torch']}, "
        f"timm {versions['timm']}, edgekd {versions['edgekd']}. Resolved recipes, seeds and curves are in `results/`."
    )


def few_labels_table(runs: Runs, rows: list[Row]) -> list[str]:
    """Accuracy, and the gain of unlabelled images over the same training without them."""
    lines = ["| | seeds | val mIoU | over the same without unlabelled images, same seeds | per-seed gain |", "|---|---:|---:|---:|---|"]
    for row in rows:
        mine, without = runs[row.name], runs.get(row.without or "", {})
        gained = [100 * (one["miou"] - without[seed]["miou"]) for seed, one in mine.items() if seed in without]
        cells = [spread(gained, sign=True), ", ".join(f"{gain:+.2f}" for gain in gained)] if gained else ["–", "–"]
        lines.append(f"| {row.title} | {len(mine)} | {spread([100 * one['miou'] for one in mine.values()])} | {' | '.join(cells)} |")
    return lines


def tuned_table(runs: Runs) -> list[str]:
    """Seed 0 of every method with its published weight and with others, and the best of them."""
    heads = ["published weight", *(f"{factor:g} of it" for factor in FACTORS), "tuned"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for method in STUDENTS:
        names = [method.name, *(row.name for row in TUNED if row.tunes == method.name)]
        if len(names) > 1 and all(0 in runs.get(name, {}) for name in names):
            scores = [100 * runs[name][0]["miou"] for name in names]
            lines.append(f"| {method.title} | " + " | ".join(f"{score:.2f}" for score in (*scores, max(scores))) + " |")
    return lines


def write_page(runs: Runs, results: Path) -> None:
    """The page and its drawings, named as the folder of results is; gains are drawn where there is more than the student alone."""
    scale = results.name
    groups = (TEACHERS, STUDENTS, OPTIONS, STUDIES + REASONS, FEW_TEACHERS + FEW_LABELS)
    teachers, students, options, studies, few = ([row for row in group if row.name in runs] for group in groups)
    compared = len(students) > 1
    parts = ["# CamVid: what each method gains, and what it costs", how(runs)]
    if compared:
        parts.append(f"![gains]({scale}-gains.svg)")
        draw_gains(runs, students, HERE / f"{scale}-gains.svg")
    parts += _section("Accuracy", main_table(runs, teachers + students))
    deployed = results / "deployed.json"
    if deployed.is_file():
        title = "The exported files, seed 0: mIoU · latency of the network (median) · size"
        parts += _section(title, deployed_table(read_json(deployed), students))
    if options:
        parts += _section("Options of the training, one at a time", main_table(runs, options))
    if studies:
        parts += _section("Looked into", main_table(runs, studies))
    if any(row.name in runs for row in TUNED):
        parts += _section("Weights, seed 0", tuned_table(runs))
    if few:
        parts += _section("Few labels", few_labels_table(runs, few))
    parts += _section("IoU by class, %", class_table(runs, teachers + students + options + studies + few))
    parts += ["## Curves", f"![curves]({scale}-curves.svg)"]
    write_text(HERE / f"{scale}.md", "\n\n".join(parts) + "\n")
    draw_curves(runs, students if compared else students + few, HERE / f"{scale}-curves.svg")


def _section(title: str, table: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(table)]


def write_pictures(folder: Path, root: str) -> None:
    """``report.html`` of the benchmark beside the runs, with what the exported files see."""
    from edgekd import parts
    from edgekd.data import open_split
    from edgekd.measure.samples import sample_rows
    from edgekd.report.page import write_report
    from edgekd.runs import open_run
    from edgekd_runtime.measurement import load_results

    models = {row.title: folder / f"{row.name}-seed0" / "export" / "fp32" / "model.onnx" for row in STUDENTS}
    layout = open_split(parts.moved(open_run(folder / f"{BASELINE}-seed0").recipe, root))
    samples = sample_rows(layout, {name: file for name, file in models.items() if file.is_file()}, 4)
    write_report(load_results(folder / "bench.json"), folder / "report.html", samples=samples, title="CamVid")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scale", nargs="?", default="cpu", help="a folder of results/")
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--root")
    arguments = parser.parse_args()
    results = HERE / "results" / arguments.scale
    write_page(read_runs(results), results)
    if arguments.runs:
        write_pictures(arguments.runs, arguments.root)


if __name__ == "__main__":
    main()
