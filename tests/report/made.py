"""Measurements made up for tests of the report, and a parser of the page that checks its markup."""

import json
from html.parser import HTMLParser

import numpy as np

from edgekd import report
from edgekd.report import rows
from edgekd_runtime.accuracy import Accuracy
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.latency import Latency, Timing
from edgekd_runtime.measurement import Measurement, read_measurements
from tests.report.realistic import artifact

NAMES = ("sky", "building", "road", "pavement", "vegetation", "car", "pedestrian", "pole", "sign")
CLASSES = ClassSet(NAMES, default_palette(len(NAMES)))
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def measurement(method, p50, miou, name=None, model="lraspp-mobilenetv3_large_100", precision="fp32", backend="onnxruntime-cpu"):
    iou = tuple(np.clip(miou + np.linspace(-0.1, 0.1, len(NAMES)), 0, 1)) if miou is not None else ()
    facts = {"name": name or f"student {method}", "size": (360, 480), "classes": CLASSES, "sha256": "ab12" * 16}
    latency = {
        stage: Latency(value * 0.9, value, value, value * 1.1, value * 1.2, value * 1.5, value * 2, 100, 1000 / value)
        for stage, value in (("network", p50), ("end_to_end", p50 + 1))
    }
    return Measurement(
        artifact=artifact(model, method, precision, source_sha256="cd34" * 16, **facts),
        path=f"runs/{method}/model.onnx",
        size_bytes=13_200_000,
        backend=backend,
        backend_version="1.23.2",
        threads=2,
        latency=latency,
        accuracy=None if miou is None else Accuracy(miou, 0.9, 0.7, iou),
        images=0 if miou is None else 64,
        timing=Timing(),
        device={"name": "Test CPU", "cores": 2, "system": "Linux", "python": "3.11", "numpy": "2.0", "edgekd_runtime": "0.1"},
        date="2025-01-02T03:04:05+00:00",
    )


def result(*args, **options):
    return json.loads(json.dumps(measurement(*args, **options).to_json()))  # as load_results gives it


def typed(results):
    """Documents, as results files hold them, as measurements."""
    given = [one.to_json() if isinstance(one, Measurement) else one for one in results]
    return read_measurements({"schema_version": 1, "measurements": given}, "r.json")


def read_rows(results):
    return rows.read_rows(typed(results))


def pareto_svg(results, **options):
    return report.pareto_svg(typed(results), **options)


def write_picture(results, out):
    report.write_picture(typed(results), out)


def write_report(results, out, **options):
    report.write_report(typed(results), out, **options)


class Page(HTMLParser):
    """Checks that tags nest; keeps elements with their attributes and the table cells."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.rows, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"repeated attribute in {tag}"
        self.elements.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert tag not in VOID
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.elements)

    def column(self, title):
        """Row name → cell of the results table."""
        heads = next(row for row in self.rows if any(cell.startswith("Name") for cell in row))
        index = next(position for position, head in enumerate(heads) if head.startswith(title))
        return {row[0]: row[index] for row in self.rows if len(row) == len(heads) and row is not heads}


def page(results, tmp_path, **options):
    write_report(results, tmp_path / "report.html", **options)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))
