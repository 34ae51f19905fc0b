"""What `edgekd models` says of a model."""

import json
from dataclasses import replace

import pytest

from edgekd.models import Segmenter
from edgekd.models.cost import USUAL_MODELS, Wanted, model_cost
from edgekd.models.networks import NETWORKS
from edgekd.models.published import PUBLISHED, Published


def parameters_m(model):
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def test_the_form_that_ships_is_counted():
    trained = Segmenter("fcn-repvit_m0_9", 5, auxiliary=False)
    cost = model_cost("fcn-repvit_m0_9", 5, (64, 96))
    assert cost.parameters_m == pytest.approx(parameters_m(trained.deployable())) and cost.parameters_m < parameters_m(trained)


@pytest.mark.parametrize(
    ("name", "strides", "auxiliary", "dilates"),
    [
        ("lraspp-resnet10t", (16, 8), (256, False), True),
        ("ocr-resnet10t", (8, 8), (256, True), True),
        ("fcn-hrnet_w18_small", (32, 4), (16 + 32 + 64 + 128, False), False),
        ("stdc-stdc1", (32, 8), (512, False), False),
    ],
)
def test_strides_auxiliary_head_and_dilation(name, strides, auxiliary, dilates):
    cost = model_cost(name, 5, (64, 96))
    assert (cost.output_stride, cost.stride) == strides
    assert (cost.auxiliary_channels, cost.auxiliary_ships) == auxiliary and cost.dilates == dilates


@pytest.mark.parametrize(("name", "strides"), [("pidnet-s", (64, 8)), ("regseg", (16, 4)), ("pp-liteseg-t", (32, 8))])
def test_whole_networks(name, strides):
    """The heads for training do not count; what was published goes along."""
    cost = model_cost(name, 19, (64, 96))
    assert (cost.output_stride, cost.stride) == strides and not cost.dilates
    assert cost.published is PUBLISHED[name] and set(NETWORKS) <= set(USUAL_MODELS) and set(NETWORKS) <= set(PUBLISHED)
    assert cost.parameters_m == pytest.approx({"pidnet-s": 7.62, "regseg": 3.34, "pp-liteseg-t": 8.03}[name], rel=0.01)


def test_wishes():
    """Limits are reached, not passed; what was not published fits no wish about it."""
    cost = replace(model_cost("fcn-resnet10t", 5, (64, 96)), parameters_m=5.0, gflops=8.0)
    assert Wanted().fits(cost) and Wanted(parameters_m=5, gmacs=4).fits(cost)
    assert not Wanted(parameters_m=4.9).fits(cost) and not Wanted(gmacs=3.9).fits(cost)
    assert not Wanted(licence="MIT").fits(cost) and not Wanted(miou=1).fits(cost)
    known = replace(cost, published=Published(78.8, "val", (1024, 2048), 7.6, "MIT", "a paper"))
    assert Wanted(licence="mit", miou=78.8).fits(known)
    assert not Wanted(licence="Apache-2.0").fits(known) and not Wanted(miou=78.9).fits(known)


def test_the_pairs_of_the_papers_are_usual():
    heads = {"DLv3": "deeplabv3", "PSP": "psp", "DLv3+": "deeplabv3plus", "ISANet": "isa", "HRNet18s": "fcn"}
    backbones = {"R18": "resnet18", "MBV2": "mobilenetv2_100", "MV2": "mobilenetv2_100", "R101": "resnet101", "": "hrnet_w18_small_v2"}
    students = ["DLv3-R18", "DLv3-MBV2", "PSP-R18", "HRNet18s-", "DLv3+-MV2", "ISANet-R18", "DLv3-R101"]
    pairs = {f"{heads[head]}-{backbones[backbone]}" for head, backbone in (pair.split("-") for pair in students)}
    assert pairs <= set(USUAL_MODELS) and {"stdc-stdc1", "stdc-stdc2"} <= set(USUAL_MODELS)


def test_the_table_and_the_document(edgekd):
    arguments = ("models", "ocr-resnet10t", "fcn-resnet10t", "--imgsz", "64x96", "--num-classes", "5")
    rows = {line.split()[0]: line for line in edgekd(*arguments).stdout.splitlines() if "-resnet10t" in line}
    assert "256*" in rows["ocr-resnet10t"] and "*" not in rows["fcn-resnet10t"]
    document = json.loads(edgekd(*arguments, "--json").stdout)["models"]
    assert [model["auxiliary_ships"] for model in document] == [True, False]
    wished = json.loads(edgekd("models", "fast-scnn", "fcn-resnet10t", "--imgsz", "64x96", "--min-miou", "60", "--json").stdout)["models"]
    assert [(model["name"], model["published"]["licence"]) for model in wished] == [("fast-scnn", "Apache-2.0")]
