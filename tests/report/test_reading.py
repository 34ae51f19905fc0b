"""What the page tells its reader: noise, what to ship, the spread over seeds, the target, where a prediction is wrong; and colours."""

import base64
from itertools import combinations
from statistics import stdev

import cv2
import numpy as np
import pytest

from edgekd.report import SampleRow, palette
from edgekd.report.pictures import RIGHT, UNLABELLED, WRONG, error_map
from edgekd.report.rows import short_path
from tests.report.made import page, pareto_svg, read_rows, result


def noisy(one, spread=16.32, drift=0.0):
    one["latency"]["network"] |= {"spread": spread, "drift": drift}
    return one


def words_of(parsed):
    return " ".join("".join(parsed.words).split())


@pytest.fixture
def pair():
    """The same weights in FP32 and INT8."""
    return [result("cwd", 20.0, 0.60, name="student fp32"), result("cwd", 0.6, 0.595, name="student int8", precision="int8")]


def test_noise_is_told_above_the_figures_and_no_ratio_is_shown_of_it(pair, tmp_path):
    quiet = page(pair, tmp_path)
    assert quiet.column("vs FP32")["student int8"] == "33.33" and "33.33 times as fast" in words_of(quiet)
    noisy(pair[1])
    told = page(pair, tmp_path)
    words = words_of(told)
    assert "The latencies of 1 of 2 rows are noisy: the interquartile range is up to 1,632 % of the median (limit 10 %)." in words
    banner, tiles = words.index("noisy:"), words.index("Fastest")
    assert banner < tiles and "~0.600 ms" in words
    assert told.column("p50") == {"student fp32": "20.00", "student int8": "~0.600"}
    assert "33.3" not in words and "times as fast" not in words
    both = words_of(page([noisy(pair[0], 0.0, 0.42), pair[1]], tmp_path))
    assert "All latencies are noisy:" in both and "the last round was up to 42 % slower than the first (limit 5 %)" in both


def test_what_to_ship_is_what_the_terminal_says(pair, tmp_path):
    assert "Ship runs/cwd/model.onnx on onnxruntime-cpu with 2 threads: 0.60 ms, 33.33 times as fast" in words_of(page(pair, tmp_path))
    kept = words_of(page(pair, tmp_path, max_miou_drop=0.1))
    assert "20.00 ms, mIoU 60.00." in kept and "loses more than 0.1 points" in kept
    assert "Recommendation" not in words_of(page(pair[:1], tmp_path))  # nothing to choose from


def seeds(method, scores, precision="fp32"):
    made = [result(method, 20.0, miou, name=f"{method}-{seed} {precision}") for seed, miou in enumerate(scores)]
    for seed, one in enumerate(made):
        one["artifact"]["source_sha256"] = f"{method}{seed}"
    return made


def test_several_trainings_of_a_method_are_told_with_their_spread(tmp_path):
    baseline, taught = (0.60, 0.62, 0.61), (0.63, 0.66)
    rows = [*seeds("baseline", baseline), *seeds("cwd", taught), result("rdd", 20.0, 0.7)]
    rows.append(rows[-2] | {"warnings": []})  # measured twice, trained once
    parsed = page(rows, tmp_path)
    (cwd, alone) = [row for row in parsed.rows if len(row) == 7 and row[0] in ("cwd, fp32", "baseline, fp32")]
    error = 100 * (stdev(baseline) ** 2 / 3 + stdev(taught) ** 2 / 2) ** 0.5
    assert [cell.strip() for cell in cwd[1:3]] == ["2", f"64.50 ± {100 * stdev(taught):.2f}"]
    assert cwd[4].strip() == f"+3.50 ± {error:.2f}"
    assert [cell.strip() for cell in alone[1:3]] == ["3", f"61.00 ± {100 * stdev(baseline):.2f}"] and alone[4] == "–"
    assert f"The baseline alone varies by ±{100 * stdev(baseline):.2f} points over its 3 trainings." in words_of(parsed)
    assert "Repeated trainings" not in words_of(page(rows[3:6:2], tmp_path))


def test_a_latency_target_is_a_line_and_marks_what_is_beyond(pair, tmp_path):
    target = page(pair, tmp_path, max_latency_ms=5)
    assert "1 of 2 meet the latency target of 5 ms; the most accurate of them is student int8" in words_of(target)
    assert "Ship" not in words_of(target)  # FP32 misses the target, so nothing is left to choose from
    beyond = [attributes for tag, attributes in target.elements if tag == "td" and attributes.get("class") == "number loss"]
    assert [float(cell["data-value"]) for cell in beyond if float(cell["data-value"]) > 0] == [20.0]
    svg = pareto_svg(pair, max_latency_ms=5)
    line = float(svg.partition('class="target" d="M')[2].split(" ")[0])
    points = sorted(float(part.split(" ")[0]) for part in svg.split('class="point" transform="translate(')[1:])
    assert points[0] < line < points[1] and "target 5 ms" in svg and 'class="target" ' not in pareto_svg(pair)
    assert "None meets the latency target of 0.1 ms." in words_of(page(pair, tmp_path, max_latency_ms=0.1))


def test_an_error_map_shows_where_prediction_and_label_differ(pair, tmp_path):
    label = np.array([[0, 1, 255], [2, 2, 255]], np.uint8)
    prediction = np.array([[0, 2, 0], [2, 1, 255]], np.uint8)
    found = error_map(label, prediction)
    assert found.share == 0.5
    np.testing.assert_array_equal(found.picture, [[RIGHT, WRONG, UNLABELLED], [RIGHT, WRONG, UNLABELLED]])
    assert error_map(label, prediction.repeat(2, 0).repeat(2, 1)).share == 0.5
    assert error_map(np.full((2, 2), 255, np.uint8), prediction).share is None
    sample = SampleRow("scene", {"image": np.zeros((2, 3, 3), np.uint8), "student": found.picture}, {"student": found})
    parsed = page(pair, tmp_path, samples=[sample])
    pictures = [attributes for tag, attributes in parsed.elements if tag == "img"]
    assert [one["alt"] for one in pictures] == ["scene: image", "scene: student", "scene: wrong: 50.0 % of pixels"]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(pictures[2]["src"].split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], found.picture)
    assert "wrong: 50.0 % of pixels" in words_of(parsed) and "prediction differs from the label" in words_of(parsed)
    assert not any("loading" in one for one in pictures)  # a picture inside the page has nothing to wait for


def test_a_page_that_is_passed_on_names_no_home_folder(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for one in pair:
        one["path"] = f"/home/a-person/work/runs/student/export/{one['artifact']['precision']}/model.onnx"
    words = words_of(page(pair, tmp_path))
    assert "a-person" not in words and "Ship student/export/int8/model.onnx on" in words
    assert short_path(str(tmp_path / "runs/x/model.onnx")) == "runs/x/model.onnx" and short_path("runs/y") == "runs/y"
    assert read_rows(pair)[0].one.path == "student/export/fp32/model.onnx"


MACHADO = {  # G. M. Machado et al., IEEE TVCG 15(6), 2009: severity 1.0, linear RGB
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    share = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ np.clip(rgb, 0, 1)
    )
    return (
        np.array(
            [
                [0.2104542553, 0.793617785, -0.0040720468],
                [1.9779984951, -2.428592205, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.808675766],
            ]
        )
        @ cones
    )


@pytest.mark.parametrize("seen", MACHADO)
@pytest.mark.parametrize(("mode", "ground"), [(0, "#ffffff"), (1, "#171d24")])
def test_methods_can_be_told_apart_with_any_eyes(mode, ground, seen):
    colours = [linear(pair[mode]) for pair in palette.COLOURS]
    assert len(colours) > 5
    places = [oklab(np.array(MACHADO[seen]) @ colour) for colour in colours]
    assert min(np.linalg.norm(one - other) for one, other in combinations(places, 2)) > 0.1
    luminance = [colour @ [0.2126, 0.7152, 0.0722] for colour in [linear(ground), *colours]]
    for one in luminance[1:]:
        assert (max(one, luminance[0]) + 0.05) / (min(one, luminance[0]) + 0.05) > 3


def test_many_methods_have_a_colour_and_shape_of_their_own():
    looks = [(palette.colour(style), palette.shape(style)) for style in range(16)]
    assert len(set(looks)) == len(looks)
