"""What fits, what is best and what is on the front: against figures that are simple enough to tell by hand."""

import html.parser
import re

import pytest

from edgekd.config import ModelRecipe
from edgekd.fit.candidate import Candidate, Capacity
from edgekd.fit.choice import Form, Limits, Tried, best, nearest_miss
from edgekd.fit.page import write_page
from edgekd.fit.table import nothing, sentences
from edgekd.models.published import PUBLISHED


def tried(name, gmacs, *forms, published=None):
    """A candidate with (precision, p50s, MiB) forms."""
    capacity = Capacity(1.0, gmacs, PUBLISHED[published] if published else None)
    measured = tuple(Form(precision, "onnxruntime-cpu", p50s, memory) for precision, p50s, memory in forms)
    return Tried(name, Candidate(ModelRecipe(name="fast-scnn"), (64, 64)), capacity, measured)


SMALL = tried("small", 0.5, ("fp32", (8.0, 8.1), 50.0), ("int8", (4.0, 4.0), 40.0))
PLAIN = tried("plain", 9.0, ("fp32", (30.0, 30.0), 90.0), ("int8", (15.0, 15.2), 70.0))
KNOWN = tried("known", 4.0, ("fp32", (21.0, 24.0), 80.0), ("int8", (12.0, 12.0), 300.0), published="fast-scnn")
BETTER = tried("better", 3.0, ("fp32", (26.0, 26.0), 80.0), published="pidnet-s")
ALL = [SMALL, PLAIN, KNOWN, BETTER]


@pytest.mark.parametrize(
    ("limits", "chosen", "precisions"),
    [
        (Limits(), "better", ["fp32"]),  # published accuracy goes before multiply-adds, the higher one first
        (Limits(25), "known", ["int8", "fp32"]),
        (Limits(25, 100), "known", ["fp32"]),  # int8 takes 300 MiB
        (Limits(20, 100), "plain", ["int8"]),  # nothing published fits, so the most multiply-adds
        (Limits(5), "small", ["int8"]),
        (Limits(4.0), "small", ["int8"]),  # the limit itself fits
        (Limits(3.9), None, []),
        (Limits(memory_mib=39), None, []),
    ],
)
def test_the_best_that_fits(limits, chosen, precisions):
    found = best(ALL, limits)
    assert (found.label if found else None) == chosen
    assert [form.precision for form in found.fitting(limits)] == precisions if found else not precisions


def test_the_nearest_where_nothing_fits():
    one, form = nearest_miss(ALL, Limits(2.0))
    assert (one.label, form.precision) == ("small", "int8")
    assert nothing(ALL, Limits(2.0)) == "Nothing fits 2 ms; the nearest is small in int8 on onnxruntime-cpu with 4.00 ms."
    assert "better in fp32 on onnxruntime-cpu with 26.0 ms and 80 MiB" in nothing([BETTER], Limits(100, 60))
    assert nothing([tried("none", 1.0)], Limits(2.0)) == "No candidate could be measured, see above."


def test_unknown_memory_fits_no_limit_on_it():
    unknown = tried("unknown", 1.0, ("fp32", (1.0,), None))
    assert best([unknown], Limits(5)) is unknown and best([unknown], Limits(5, 1e6)) is None


def test_noise_is_said():
    said = " ".join(sentences(ALL, Limits(22)))
    assert "1 of 7 figures are noisy (~): their two sweeps lie up to 14 % apart" in said  # 24/21
    assert "Too noisy to tell whether it fits: known in fp32." in said
    assert "plain has more multiply-adds (9.00 · 10⁹), and nothing published" in said
    assert "noisy" not in " ".join(sentences([SMALL], Limits(22)))
    assert Form("fp32", "b", (5.0, 5.0), None, unsteady=True).noisy


def test_the_page_shows_the_front_and_asks_for_nothing(tmp_path):
    write_page(ALL, Limits(22), ["a device", "64x64"], "student: {name: <b>}", tmp_path)
    page = (tmp_path / "fit.html").read_text()
    html.parser.HTMLParser().feed(page)
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert "student: {name: &lt;b&gt;}" in page and "Too noisy to tell" in page and page.count("target 22 ms") == 6
    published, work = (part.partition("</section>")[0] for part in page.split("On the Pareto front")[1:])
    listed = [re.findall(r"<b>([^<]+)</b>", part.partition("</ol>")[0]) for part in (published, work)]
    assert listed == [["known, int8", "better, fp32"], ["small, int8", "known, int8", "plain, int8"]]  # by hand, from the figures above
    assert "<td>no</td>" in page and page.count("<td>yes</td>") == 5
