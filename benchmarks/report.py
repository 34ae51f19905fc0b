"""A page of 1,000 measurements in a real browser: its weight, and how long it takes to open.

python benchmarks/report.py [--out benchmarks/results/report.json] [--rows 1000] [--rounds 9]

The measurements are made up (`tests.report.realistic`: several devices, 22 classes, all stages, energy), their statistics are computed
as measured ones are. A round opens the file in a new tab of a headless Chromium that is already running, and an empty page beside it.
Milliseconds since navigation: `first_paint`, `load` (the load event's end), and `shown`: the frame after it is drawn. `cpu_s` is processor
time of all of the browser's processes meanwhile, which other work on the machine lengthens less than the clock.
"""

import argparse
import os
import statistics
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgekd.report import write_report
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device
from tests.report.chromium import Browser
from tests.report.realistic import realistic

TIMES = """new Promise(done => requestAnimationFrame(() => setTimeout(() => {
  const paint = performance.getEntriesByName("first-paint")[0];
  done({
    first_paint: paint ? paint.startTime : null,
    load: performance.getEntriesByType("navigation")[0].loadEventEnd,
    shown: performance.now(),
    elements: document.querySelectorAll("*").length,
  });
})))"""


def opened(browser: Browser, file: Path, width: int) -> dict[str, Any]:
    before = browser.processor_seconds()
    page = browser.open(file, width)
    found = page.evaluate(TIMES)
    after = browser.processor_seconds()
    page.close()
    time.sleep(0.5)
    return {name: None if value is None else round(value, 1) for name, value in found.items()} | {"cpu_s": round(after - before, 2)}


def medians(rounds: list[dict[str, Any]]) -> dict[str, float]:
    told = {name: [one[name] for one in rounds if one[name] is not None] for name in rounds[0]}  # not every tab tells its first paint
    return {name: statistics.median(values) if values else None for name, values in told.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/report.json"))
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    results = realistic(arguments.rows)
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        page, empty = Path(folder, "report.html"), Path(folder, "empty.html")
        start = time.perf_counter()
        write_report(results, page)
        written_s, size = time.perf_counter() - start, page.stat().st_size
        empty.write_text("<!DOCTYPE html><title>empty</title><p>empty")
        load_average = os.getloadavg()[0]
        rounds = [
            {"width": width, "page": opened(browser, page, width), "empty": opened(browser, empty, width)}
            for _ in range(arguments.rounds)
            for width in (360, 1920)
        ]
        version = browser.version
    summary = {f"{width}": medians([one["page"] for one in rounds if one["width"] == width]) for width in (360, 1920)}
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device(),
        "browser": version,
        "load_average": [round(load_average, 1), round(os.getloadavg()[0], 1)],
        "rows": arguments.rows,
        "bytes": size,
        "written_s": round(written_s, 2),
        "median": summary | {"empty": medians([one["empty"] for one in rounds])},
        "rounds": rounds,
    }
    write_json(arguments.out, document)
    print(f"{size / 1e6:.2f} MB, written in {written_s:.2f} s, load average {load_average:.1f}")
    for name, one in document["median"].items():
        print(name, one)


if __name__ == "__main__":
    main()
