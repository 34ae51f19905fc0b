"""The page in a real browser, small and large, narrow and wide, light and dark."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from edgekd.report import SampleRow, write_report
from tests.report.chromium import EXECUTABLE, Browser
from tests.report.realistic import realistic

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium here: apt install chromium")
ROWS = 120  # more than are laid out at once
SHOWN = "[...document.querySelectorAll('#results tbody tr')].filter(row => row.checkVisibility())"

FAINT = """(() => {
  const parse = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = one => {
    const colour = parse(getComputedStyle(one).backgroundColor);
    return colour.length < 4 ? colour : behind(one.parentElement); // with four it is transparent
  };
  const low = new Set();
  for (const one of document.querySelectorAll("main *, header *")) {
    const words = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!words || one.closest("svg") || !one.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(behind(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) low.add(one.outerHTML.slice(0, 80));
  }
  return [...low];
})()"""
"""Words whose contrast with what lies behind them is below 4.5:1, WCAG's AA, by its formula."""


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def results():
    return realistic(ROWS)


@pytest.fixture(scope="module")
def file(results, tmp_path_factory):
    """Many rows; one has the name that a page might break on."""
    name = "<img src=x onerror=alert(1)>" + "unbroken" * 20
    results[0] = replace(results[0], artifact=replace(results[0].artifact, name=name))
    file = tmp_path_factory.mktemp("page") / "report.html"
    picture = np.random.default_rng(0).integers(0, 256, (40, 900, 3), np.uint8)
    write_report(results, file, samples=[SampleRow("scene", {"image": picture, "label": picture})])
    return file


@pytest.fixture
def page(browser, file):
    opened = browser.open(file, 1280)
    yield opened
    opened.close()


def column(page, title):
    """The figures of a column, of the rows that are shown."""
    heads = "[...document.querySelectorAll('#results thead tr:last-child th')]"
    index = page.evaluate(f"{heads}.findIndex(head => head.textContent.trim().startsWith({title!r}))")
    return page.evaluate(f"{SHOWN}.map(row => row.cells[{index}].textContent)")


def click(page, script):
    page.evaluate(f"{script}.click()")


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("dark", [False, True])
def test_fits_can_be_read_asks_for_nothing_and_complains_of_nothing(width, dark, browser, file):
    page = browser.open(file, width, dark=dark)
    page.evaluate("new Promise(done => (function wait() { document.body.matches('.settled') ? done() : setTimeout(wait, 20) })())")
    assert page.evaluate("document.documentElement.scrollWidth") == page.evaluate("document.body.scrollWidth") == width
    beyond = "[...document.querySelectorAll('main > *, main > section > *')].map(one => one.getBoundingClientRect())"
    assert page.evaluate(f"{beyond}.filter(box => box.width && (box.left < 0 || box.right > {width})).length") == 0
    assert page.complaints() == []
    assert [address for address in page.requests() if not address.startswith("data:")] == [file.as_uri()]
    assert page.evaluate("[...document.querySelectorAll('.edgekd-plot')].filter(one => one.checkVisibility()).length") == 1
    assert page.evaluate(FAINT) == []
    ground, ink = page.evaluate("(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))")
    assert (brightness(ground) < brightness(ink)) is dark
    page.close()


def brightness(colour):
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))


def test_rows_sort_by_their_figures_and_all_of_them(page, results):
    assert len(column(page, "p50")) == 100
    head = "[...document.querySelectorAll('#results thead button')].find(one => one.textContent.startsWith('p50'))"
    expected = sorted(one.latency["network"].p50_ms for one in results)
    click(page, head)
    assert [float(value) for value in column(page, "p50")] == pytest.approx(expected[:100], rel=5e-3)
    click(page, head)
    assert [float(value) for value in column(page, "p50")] == pytest.approx(expected[::-1][:100], rel=5e-3)
    click(page, "document.querySelector('#results .tools button')")
    assert len(column(page, "p50")) == ROWS


def test_rows_without_a_figure_sort_last_both_ways(page):
    head = "[...document.querySelectorAll('#results thead button')].find(one => one.textContent.startsWith('Power'))"
    click(page, "document.querySelector('#results .tools button')")
    for _ in range(2):
        click(page, head)
        known = [value != "–" for value in column(page, "Power")]
        assert any(known) and not all(known) and known == sorted(known, reverse=True)


def test_filter_leaves_the_rows_and_points_that_have_all_its_words(page, results):
    wanted = [one for one in results if one.artifact.precision == "int8" and one.backend == "tensorrt"]
    page.evaluate(
        "(box => { box.value = 'INT8 tensorrt'; box.dispatchEvent(new Event('input')); })(document.querySelector('#results input'))"
    )
    assert set(column(page, "Precision")) == {"int8"} and set(column(page, "Backend")) == {"tensorrt"}
    assert len(column(page, "Backend")) == len(wanted)
    assert page.evaluate(
        "[...document.querySelectorAll('.medium .point')].filter(one => getComputedStyle(one).display !== 'none').length"
    ) == len(wanted)


def test_pointing_at_the_plot_tells_the_model_and_a_click_its_classes(page, results):
    page.hover(".medium .point:last-of-type path")
    number = int(page.evaluate("document.querySelector('.point.near').dataset.row"))
    artifact, words = results[number].artifact, page.evaluate("document.querySelector('.tip').textContent")
    for told in (
        artifact.model,
        artifact.method,
        artifact.precision,
        results[number].backend,
        results[number].device["name"],
    ):
        assert told in words
    click(page, f"document.querySelector('#results tr[data-row=\"{number}\"] .open')")
    shown = page.evaluate("[...document.querySelectorAll('dialog .figure')].map(one => one.textContent)")
    assert [float(value) for value in shown] == pytest.approx([100 * value for value in results[number].accuracy.iou], abs=0.051)
    assert page.evaluate("document.querySelectorAll('dialog .histogram').length") == 2
    assert results[number].path in page.evaluate("document.querySelector('dialog dl').textContent")
    assert page.complaints() == []


def test_a_phone_shows_names_and_figures_and_hides_what_was_measured(browser, file):
    page = browser.open(file, 360)
    shown = "[...document.querySelectorAll('#results thead tr:last-child th')].filter(one => one.checkVisibility())"
    heads = page.evaluate(f"{shown}.map(one => one.textContent.trim().split(' ')[0])")
    assert heads[:3] == ["Name", "mIoU", "p50"] and not {"Architecture", "Backend", "Precision"} & set(heads)
    assert page.evaluate(f"{shown}[2].getBoundingClientRect().right") < 360  # without scrolling
    page.close()


def test_ticks_of_a_histogram_stand_apart_and_say_where_they_are(page):
    axis = "[...document.querySelector('#histograms .ticks').children]"
    box = "(box => [box.x, box.right])(one.getBoundingClientRect())"
    marks = page.evaluate(f"{axis}.map(one => [+one.textContent, parseFloat(one.style.left), ...{box}])")
    assert len(marks) > 1 and all(one[3] < other[2] for one, other in pairwise(marks))
    label = page.evaluate("document.querySelector('#histograms svg').ariaLabel")
    low, high = (float(label.partition(f"{name} ")[2].split(" ")[0].rstrip(",")) for name in ("min", "p95"))
    for value, share, *_ in marks:
        assert share == pytest.approx(100 * (value - low) / (high - low), abs=0.5)
