"""The report: well-formed, offline, escaped, and its figures right."""

import base64
import copy
import hashlib
import re
import sys
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from edgekd.report import SampleRow, pareto_front
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.measurement import load_results, save_results
from tests.report.made import CLASSES, NAMES, measurement, page, pareto_svg, read_rows, result, write_picture, write_report
from tests.report.realistic import realistic


@pytest.fixture
def results():
    return [
        result("teacher", 400.0, 0.742, name="teacher", model="deeplabv3-resnet50"),
        result("baseline", 21.0, 0.655),
        result("cwd", 20.0, 0.6915),
        result("cwd", 11.0, 0.67, name="student cwd int8", precision="int8"),
        result("rdd", 19.0, None),
    ]


@pytest.fixture
def samples():
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    flat = np.full((40, 60, 3), CLASSES.palette[3], np.uint8)
    flat[:20] = CLASSES.palette[1]
    return [SampleRow("scene <1>", {"image": noise, "label": flat})]


def test_page_is_well_formed_and_has_its_parts(results, samples, tmp_path):
    parsed = page(results, tmp_path, samples=samples, title="A title", note="A note")
    assert parsed.count("h1") == 1 and parsed.count("script") == 2  # data, and what draws it
    assert parsed.count("img") == 2
    words = "".join(parsed.words)
    for expected in (
        "A title",
        "A note",
        "Test CPU",
        "1.23.2",
        "sorted[max(N-1-int((1-p/100)*N), 0)]",
        "ab12ab12ab12",
        "64 labelled",
        *NAMES,
    ):
        assert expected in words
    assert [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch("h[1-6]", tag)][:2] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_results_file_goes_into_the_page(tmp_path):
    save_results(tmp_path / "results.json", [measurement("baseline", 20.0, 0.5), measurement("cwd", 20.5, 0.55)])
    assert page(load_results(tmp_path / "results.json"), tmp_path).column("mIoU") == {"student baseline": "50.00", "student cwd": "55.00"}


def test_nothing_is_loaded_from_outside(results, samples, tmp_path):
    parsed = page(results, tmp_path, samples=samples)
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:")), f"{tag} {name}={address[:80]}"
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "url(" not in html and "@import" not in html and "fetch(" not in html


def test_links_lead_to_sections_of_the_page(results, tmp_path):
    parsed = page(results, tmp_path)
    identifiers = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    links = [attributes["href"][1:] for tag, attributes in parsed.elements if tag == "a"]
    assert links and set(links) <= set(identifiers) and len(identifiers) == len(set(identifiers))


def test_names_are_escaped_everywhere(results, tmp_path):
    evil = "<script>alert(1)</script>\"'&\x00"
    plain = page(results, tmp_path)
    first = results[0]
    for field in ("name", "model", "method", "precision"):
        first["artifact"][field] = evil
    for field in ("backend", "backend_version", "path", "date"):
        first[field] = evil
    first["device"] = dict.fromkeys(first["device"], evil) | {"cores": 2}
    for entry in results:
        entry["artifact"]["classes"]["names"] = [evil, *NAMES[1:]]
    flat = np.zeros((8, 8, 3), np.uint8)
    parsed = page(results, tmp_path, title=evil, note=evil, samples=[SampleRow(evil, {evil: flat})])
    assert parsed.count("script") == plain.count("script") == 2
    assert not any(name.startswith("on") for _, attributes in parsed.elements for name in attributes)
    assert "<script>alert(1)</script>\"'&" in "".join(parsed.words)
    ElementTree.fromstring(pareto_svg(results))


def test_script_is_the_one_that_the_policy_allows(results, tmp_path):
    page(results, tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    script = re.search("<script>(.*)</script>", html, re.DOTALL).group(1)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in html


def brute_front(points):
    def beaten(one):
        return any(other[0] <= one[0] and other[1] >= one[1] and other != one for other in points)

    return {index for index, point in enumerate(points) if not beaten(point)}


@pytest.mark.parametrize("seed", range(20))
def test_front_equals_brute_force(seed):
    random = np.random.default_rng(seed)
    # a coarse grid, so that ties in either figure and equal points occur
    points = [(float(x), float(y)) for x, y in random.integers(1, 12, (40, 2))]
    front = pareto_front(points)
    assert set(front) == brute_front(points) and len(front) == len(set(front))
    assert [points[index][0] for index in front] == sorted(points[index][0] for index in front)


def test_front_of_few_points():
    assert pareto_front([]) == []
    assert pareto_front([(1.0, 2.0), (1.0, 2.0), (1.0, 1.0), (2.0, 2.0)]) == [0, 1]


def test_plot_marks_the_front_and_leaves_out_rows_without_accuracy(results):
    svg = ElementTree.fromstring(pareto_svg(results))
    space = "{http://www.w3.org/2000/svg}"
    groups = [group for group in svg.iter(f"{space}g") if group.get("class") == "point"]
    filled = {}
    for group in groups:
        title = group.find(f"{space}title").text
        filled[title.splitlines()[0]] = "hollow" not in group.find(f"{space}path").get("class")
        assert "p50" in title and "p99" in title and "onnxruntime-cpu on Test CPU" in title
    assert filled == {"teacher": True, "student baseline": False, "student cwd": True, "student cwd int8": True}
    assert "log scale" in "".join(svg.itertext())
    assert "log scale" not in pareto_svg(results[1:4])


def test_points_lie_where_their_figures_say(results):
    svg = pareto_svg(results)
    spot = {
        title.split("\n")[0]: (float(x), float(y))
        for x, y, title in re.findall(r'class="point" transform="translate\(([\d.]+) ([\d.]+)\)"><title>([^<]*)', svg)
    }
    assert spot["student cwd int8"][0] < spot["student cwd"][0] < spot["student baseline"][0] < spot["teacher"][0]
    assert spot["teacher"][1] < spot["student cwd"][1] < spot["student cwd int8"][1] < spot["student baseline"][1]
    ticks = {float(value): float(x) for x, value in re.findall(r'text-anchor="middle" x="([\d.]+)" y="\d+">([\d.]+)<', svg)}
    share = np.log(20 / 10) / np.log(100 / 10)
    assert spot["student cwd"][0] == pytest.approx(ticks[10] + share * (ticks[100] - ticks[10]), abs=0.3)


def test_rows_without_accuracy_are_in_the_table_only(results, tmp_path):
    parsed = page(results, tmp_path)
    assert parsed.column("mIoU")["student rdd"] == "–"
    assert parsed.column("p50")["student rdd"] == "19.00"
    alone = page(results[-1:], tmp_path)
    assert "nothing to plot" in "".join(alone.words) and not alone.count("circle")
    with pytest.raises(UsageError, match="accuracy"):
        pareto_svg(results[-1:])


def test_null_figures_are_absent_not_zero(results, tmp_path):
    results[1]["accuracy"]["iou"][2] = None
    results[2]["accuracy"]["miou"] = None
    results[3]["accuracy"]["miou"] = float("nan")
    rows = read_rows(results)
    assert rows[1].iou[2] is None and rows[2].miou is None and rows[3].miou is None
    assert page(results, tmp_path).column("mIoU")["student cwd"] == "–"


def test_delta_is_to_the_baseline_of_the_same_model_and_precision(results, tmp_path):
    delta = page(results, tmp_path).column("Δ")
    assert delta == {"teacher": "–", "student baseline": "baseline", "student cwd": "+3.65", "student cwd int8": "–", "student rdd": "–"}
    results.append(result("baseline", 11.5, 0.7, name="student baseline int8", precision="int8"))
    assert page(results, tmp_path).column("Δ")["student cwd int8"] == "−3.00"


def test_delta_takes_the_baseline_measured_alike_and_the_mean_of_equals():
    rows = [
        result("baseline", 5.0, 0.40, backend="onnxruntime-cuda"),
        result("baseline", 20.0, 0.60),
        result("baseline", 20.0, 0.62),
        result("cwd", 20.0, 0.64),
    ]
    assert read_rows(rows)[3].delta == pytest.approx(0.03)


def test_delta_is_not_taken_over_other_images_or_classes(results):
    fewer = copy.deepcopy(results)
    fewer[1]["images"] = 32
    assert read_rows(fewer)[2].delta is None
    renamed = copy.deepcopy(results)
    renamed[1]["artifact"]["classes"]["names"][0] = "void"
    assert read_rows(renamed)[2].delta is None


def test_columns_show_the_measured_figures(results, tmp_path):
    parsed = page(results, tmp_path)
    expected = {
        "p50": "20.00",
        "p90": "22.00",
        "p99": "30.00",
        "End to end": "21.00",
        "Network": "50.0",
        "Size": "13.20",
        "Parity": "99.987",
    }
    expected |= {"Pixel": "90.00", "Precision": "fp32", "Method": "cwd"}
    assert {title: parsed.column(title)["student cwd"] for title in expected} == expected


def test_what_all_rows_agree_in_is_told_once_and_the_result_comes_first(results, tmp_path):
    parsed = page(results, tmp_path)
    heads = heads_of(parsed)
    assert [head.split(" ")[0] for head in heads[:3]] == ["Name", "mIoU", "p50"]
    common = " ".join("".join(parsed.words).partition("All rows:")[2].split())
    assert common.startswith("Backend onnxruntime-cpu Device Test CPU Threads 2 Batch 1 Input 360×480")
    assert not [head for head in heads if head.startswith(("Backend", "Input", "Device", "Threads", "Batch"))]
    assert page(results[:1], tmp_path).column("Input") == {"teacher": "360×480"}  # of a single row nothing can be left out


def test_equal_names_get_labels_of_their_own():
    same = [result("cwd", 20.0, 0.6), result("cwd", 10.0, 0.6, precision="int8"), result("cwd", 10.0, 0.6, precision="int8")]
    labels = [row.label for row in read_rows(same)]
    assert len(set(labels)) == 3 and "int8" in labels[1] and "fp32" in labels[0]


def test_summary_names_the_fastest_and_the_most_accurate(results, tmp_path):
    words = "".join(page(results, tmp_path).words)
    assert "Fastest11.00 msstudent cwd int8" in words
    assert "Most accurate74.20 %teacher, mIoU" in words
    assert "student cwd is 20.0× as fast as teacher at −5.05 points" in words


def test_scores_of_several_data_sets_are_not_compared(results, tmp_path):
    for one in results[:2]:
        one["artifact"]["classes"]["names"][0] = "void"
    words = "".join(page(results, tmp_path).words)
    assert "of several data sets, and can't be compared" in words and "The scores are of several data sets." in words
    assert "Most accurate" not in words


def test_bars_have_the_length_of_the_iou(results, tmp_path):
    parsed = page(results[:2], tmp_path)
    widths = [attributes["style"] for _, attributes in parsed.elements if attributes.get("class", "").startswith("bar ")]
    assert len(widths) == 2 * (1 + len(NAMES))
    assert widths[:2] == ["width:74.2%", "width:65.5%"]


def test_pictures_survive_the_way_into_the_page(samples, results, tmp_path):
    parsed = page(results, tmp_path, samples=samples)
    sources = [attributes["src"].split(",", 1) for tag, attributes in parsed.elements if tag == "img"]
    assert [kind for kind, _ in sources] == ["data:image/jpeg;base64", "data:image/png;base64"]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(sources[1][1]), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], samples[0].pictures["label"])
    assert [attributes["alt"] for tag, attributes in parsed.elements if tag == "img"] == ["scene <1>: image", "scene <1>: label"]


def test_a_large_class_map_shrinks_without_new_colours(results, tmp_path):
    label = np.zeros((1024, 2048, 3), np.uint8)
    label[:, ::2] = (250, 10, 10)
    parsed = page(results, tmp_path, samples=[SampleRow("wide", {"label": label})])
    source = next(attributes["src"] for tag, attributes in parsed.elements if tag == "img")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(source.split(",", 1)[1]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (480, 960, 3)
    assert {tuple(colour) for colour in decoded.reshape(-1, 3).tolist()} <= {(0, 0, 0), (10, 10, 250)}


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused_and_nothing_is_written(picture, results, tmp_path):
    with pytest.raises(UsageError, match="RGB"):
        write_report(results, tmp_path / "report.html", samples=[SampleRow("bad", {"image": picture})])
    assert not list(tmp_path.iterdir())


def test_empty_results_say_what_to_do(tmp_path):
    for make in (write_report, write_picture):
        with pytest.raises(UsageError, match="edgekd bench"):
            make([], tmp_path / "out.svg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["latency", "artifact", "device", "timing", "date"])
def test_incomplete_results_are_named(missing, results, tmp_path):
    del results[1][missing]
    with pytest.raises(EdgeKDError, match=rf"r\.json: measurements\[1\]\.{missing} is missing"):
        write_report(results, tmp_path / "report.html")


def test_picture_is_xml_with_its_own_style(results, tmp_path):
    write_picture(results, tmp_path / "pareto.svg")
    svg = ElementTree.parse(tmp_path / "pareto.svg").getroot()
    style = svg.find("{http://www.w3.org/2000/svg}style").text
    assert "prefers-color-scheme:dark" in style and "var(" not in style
    assert svg.get("viewBox") and svg.get("aria-label")


def test_png_is_the_drawing_at_twice_its_size(results, tmp_path):
    try:
        write_picture(results, tmp_path / "pareto.png")
    except MissingError as error:
        pytest.skip(str(error))
    picture = cv2.imread(str(tmp_path / "pareto.png"))
    assert picture.shape == (920, 1800, 3) and (picture[2, -3] == 255).all()  # light, to the corner
    x, y = (
        2 * float(place) for place in re.search(r'class="point" transform="translate\(([\d.]+) ([\d.]+)', pareto_svg(results[:1])).groups()
    )
    write_picture(results[:1], tmp_path / "one.png")
    assert cv2.imread(str(tmp_path / "one.png"))[round(y), round(x)].tolist() == [0xA3, 0x45, 0x10]  # the first method's blue


def test_pictures_of_other_kinds_are_refused(results, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="neither"):
        write_picture(results, tmp_path / "pareto.jpg")
    monkeypatch.setitem(sys.modules, "resvg_py", None)  # as where it is not installed
    with pytest.raises(MissingError, match=r"edgekd\[png\]"):
        write_picture(results, tmp_path / "pareto.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pairs", [[(5.0, 0.5)], [(5.0, 0.5)] * 3, [(5.0, 0.0)], [(5.0, 1.0), (6.0, 1.0)], [(1e-3, 0.1), (1e5, 0.9)]])
def test_degenerate_ranges_are_drawn(pairs):
    svg = pareto_svg([result("cwd", p50, miou) for p50, miou in pairs])
    ElementTree.fromstring(svg)
    assert "nan" not in svg and "inf" not in svg
    places = re.findall(r'class="point" transform="translate\(([-\d.]+) ([-\d.]+)\)', svg)
    assert len(places) == len(pairs) and all(0 < float(x) < 900 and 0 < float(y) < 460 for x, y in places)


def test_labels_do_not_cover_each_other():
    random = np.random.default_rng(1)
    cluster = [result(f"m{index}", float(20 + random.normal()), float(0.6 + 0.01 * random.normal())) for index in range(24)]
    svg = pareto_svg(cluster)
    boxes = []
    for anchor, x, y, words in re.findall(r'class="label" text-anchor="(\w+)" x="([\d.]+)" y="([\d.]+)">([^<]*)', svg):
        width = 7.0 * len(words)
        left = float(x) - {"start": 0, "middle": width / 2, "end": width}[anchor]
        boxes.append((left, float(y) - 11, left + width, float(y)))
    hint = re.search(r'class="hint" x="([\d.]+)" y="([\d.]+)">([^<]*)', svg)
    left, bottom = float(hint[1]), float(hint[2])
    boxes.append((left, bottom - 11, left + 7.0 * len(hint[3]), bottom))
    assert len(boxes) >= 12
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            assert not (one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3])


def test_a_thousand_rows_make_a_small_page(tmp_path):
    some = realistic(100)  # in all columns; their figures differ enough, and drawing a thousand takes seconds
    many = [replace(one, path=f"{one.path}.{index}") for index in range(10) for one in some]
    parsed = page(many, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 6e6
    assert sum(len(row) == len(heads_of(parsed)) for row in parsed.rows) == 1001


def test_rows_of_a_sweep_have_labels_of_their_own():
    rows = read_rows([swept(threads, batch) for threads in (0, 1, 4) for batch in (1, 8)])
    assert len({row.label for row in rows}) == 6
    assert rows[0].label == "student cwd, default threads, batch 1" and rows[-1].label == "student cwd, 4 threads, batch 8"


def swept(threads, batch):
    return result("cwd", 20.0, 0.6) | {"threads": threads, "batch": batch}


def test_columns_come_with_what_some_row_has(results, tmp_path):
    optional = ("Threads", "Batch", "Per image", "Power", "Peak", "Decode", "H2D", "Compute", "D2H", "IQR")
    heads = "".join(heads_of(page(results, tmp_path)))
    assert not [title for title in optional if title in heads]
    one = results[2]
    for stage, share in {"decode": 0.2, "h2d": 0.05, "compute": 0.9, "d2h": 0.05}.items():
        one["latency"][stage] = one["latency"]["network"] | {"p50_ms": 20.0 * share}
    one["latency"]["network"]["spread"] = 0.04
    one |= {"batch": 4, "threads": 1, "peak_memory_bytes": 123_400_000}
    one["energy"] = {"end_to_end": {"source": "rapl", "scope": "package", "watts": 15.04, "joules_per_frame": 0.0789, "idle_watts": 3.0}}
    parsed = page(results, tmp_path)
    shown = {title: parsed.column(title)["student cwd"] for title in optional}
    assert shown == dict(zip(optional, ("1", "4", "0.0789", "15.0", "123.4", "4.00", "1.00", "18.00", "1.00", "4.0"), strict=True))
    assert parsed.column("Per image")["student baseline"] == "–"
    assert parsed.column("Network")["student cwd"] == "200.0"  # 50 calls of 4 images
    assert "rapl (package), 3.00 W at rest subtracted" in "".join(parsed.words)
    stages = [head.split(" ")[0] for head in heads_of(parsed) if "ms" in head][3:]
    assert stages == ["Decode", "H2D", "Compute", "D2H", "End"]


def heads_of(parsed):
    return next(row for row in parsed.rows if row[0].startswith("Name"))


def test_full_precision_is_compared_where_the_rest_is_alike(results, tmp_path):
    parsed = page(results, tmp_path)
    assert parsed.column("Δ FP32")["student cwd int8"] == "−2.15" and parsed.column("Δ FP32")["student cwd"] == "fp32"
    assert parsed.column("vs FP32")["student cwd int8"] == "1.82"
    results[3]["backend"] = "openvino"  # another machine's or library's time is no measure of a precision
    rows = read_rows(results)
    assert rows[3].times_fp32 is None and rows[3].delta_fp32 == pytest.approx(-0.0215)
    results[3]["artifact"]["source_sha256"] = "ef56" * 16  # other weights
    assert read_rows(results)[3].delta_fp32 is None


def test_histograms_show_the_counts(tmp_path):
    one = result("cwd", 20.0, 0.6)
    one["latency"]["network"] |= {"min_ms": 10.0, "p50_ms": 15.0, "p95_ms": 30.0, "histogram": [2, 4, 0, 1]}
    parsed = page([one], tmp_path)
    paths = [attributes["d"] for tag, attributes in parsed.elements if tag == "path" and attributes.get("class") in ("bars", "median")]
    assert paths == ["M0 40V20H25V0H50V40H75V30H100V40Z", "M25 0V40"]
    del one["latency"]["network"]["histogram"]  # as older files
    assert "Latency histograms" not in "".join(page([one], tmp_path).words)


def test_doubts_and_clocks_are_told(results, tmp_path):
    results[0] |= {"warnings": ["noisy: <b>"], "state": {"before": {"cpu_mhz": 1500.0}, "after": {"cpu_mhz": 900.0}}}
    words = "".join(page(results, tmp_path).words)
    assert "teacher: noisy: <b>" in words and "cpu mhz 1500.0 → 900.0" in words
