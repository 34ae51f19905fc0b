"""Ways of predicting, against closed forms and plain loops."""

import json
import subprocess
import sys
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.models import Segmenter, SegOutput
from edgekd.train.evaluate import predict
from edgekd.train.inference import Inference, mean_probabilities
from edgekd_runtime.errors import UsageError

C = 4


class Pointwise(nn.Module):
    """Logits that depend on the pixel's own colour only."""

    num_classes, in_channels, multiple = C, 3, 1

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.classifier = nn.Conv2d(3, C, 1)

    def normalize(self, image):
        return image.float() / 255

    def forward(self, x):
        return SegOutput(4 * self.classifier(x), x, None)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Segmenter("fcn-resnet10t", C, output_stride=32, head_channels=16).eval()


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


def looking(image):
    """The normalised image at any size, without this project's resize."""

    def look(model, size):
        resized = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR if size[0] >= image.shape[0] else cv2.INTER_AREA)
        return model.normalize(torch.from_numpy(resized).permute(2, 0, 1)[None])

    return look


@torch.inference_mode()
def probabilities(model, image, **inference):
    return mean_probabilities(model, partial(looking(image), model), image.shape[:2], Inference(**inference))


@torch.inference_mode()
def whole(model, image):
    """Softmax of the upsampled logits of the whole image: the reference."""
    logits = model(model.normalize(torch.from_numpy(image).permute(2, 0, 1)[None])).logits
    return F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=True).softmax(1)


@torch.inference_mode()
def test_by_default_the_rectangle_is_read_as_it_is_deployed(network, image):
    given = predict(network, image, np.zeros((120, 160), np.uint8), (64, 96))
    small = cv2.resize(image, (96, 64), interpolation=cv2.INTER_AREA)
    logits = network(network.normalize(torch.from_numpy(small).permute(2, 0, 1)[None])).logits
    classes = F.interpolate(logits, (64, 96), mode="bilinear", align_corners=True).argmax(1)[0].numpy().astype(np.uint8)
    np.testing.assert_array_equal(given, cv2.resize(classes, (160, 120), interpolation=cv2.INTER_NEAREST_EXACT))


def test_native_is_the_whole_image(network, image):
    given = predict(network, image, np.zeros(image.shape[:2], np.uint8), (32, 32), inference=Inference(native=True))
    np.testing.assert_array_equal(given, whole(network, image).argmax(1)[0].numpy())
    torch.testing.assert_close(probabilities(network, image), whole(network, image))


@pytest.mark.parametrize("window", [(96, 128), (200, 300), (96, 1000)])
def test_a_window_over_the_whole_image_is_native(network, image, window):
    assert torch.equal(probabilities(network, image, window=window), probabilities(network, image))


@pytest.mark.parametrize(("window", "stride"), [((40, 50), None), ((33, 17), (33, 17)), ((96, 50), (7, 11))])
def test_windows_do_not_matter_to_pixels_that_see_only_themselves(image, window, stride):
    torch.testing.assert_close(probabilities(Pointwise(), image, window=window, stride=stride), whole(Pointwise(), image))


def test_overlapping_windows_are_averaged(network, image):
    total, count = torch.zeros(1, C, 96, 128), torch.zeros(96, 128)
    for top in (0, 32):  # the last window ends at the edge
        for left in (0, 48, 64):
            total[..., top : top + 64, left : left + 64] += whole(network, image[top : top + 64, left : left + 64])
            count[top : top + 64, left : left + 64] += 1
    torch.testing.assert_close(probabilities(network, image, window=(64, 64), stride=(48, 48)), total / count)


def test_mirrored_votes(network, image):
    mirrored = whole(network, np.ascontiguousarray(image[:, ::-1])).flip(-1)
    torch.testing.assert_close(probabilities(network, image, flip=True), (whole(network, image) + mirrored) / 2)
    torch.testing.assert_close(probabilities(Pointwise(), image, flip=True), whole(Pointwise(), image))


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0])
def test_scaled_votes_are_read_at_the_pixels_own_place(scale):
    """A ramp is the same ramp at every scale, but for the border; half a pixel off would be 2 of 255 grey levels."""
    ramp = np.repeat(np.arange(8, 8 + 4 * 48, 4, dtype=np.uint8)[None, :, None], 3, 2).repeat(32, 0)
    model = Pointwise()
    with torch.no_grad():
        model.classifier.weight.copy_(torch.tensor([1.0, 0, 0, 0])[:, None, None, None].expand_as(model.classifier.weight) / 3)
        model.classifier.bias.zero_()

    def grey(given):  # the colour that the probabilities stand for
        return 255 / 4 * (given[0, 0].log() - given[0, 1].log())

    given, expected = (grey(probabilities(model, ramp, scales=(s,))) for s in (scale, 1.0))
    assert float((given - expected)[:, 2:-2].abs().max()) < 1


def test_every_pixel_has_one_vote_in_all(network):
    odd = np.random.default_rng(1).integers(0, 256, (61, 83, 3), np.uint8)
    given = probabilities(network, odd, window=(40, 50), stride=(13, 29), scales=(0.6, 1.0, 1.7), flip=True)
    assert given.shape == (1, C, 61, 83) and given.dtype == torch.float32
    torch.testing.assert_close(given.sum(1), torch.ones(1, 61, 83))
    same = np.full((61, 83, 3), 90, np.uint8)
    torch.testing.assert_close(probabilities(Pointwise(), same, window=(40, 50), scales=(0.6, 1.0, 1.7)), whole(Pointwise(), same))


def test_a_label_assisted_model_is_shown_the_label_in_every_window(image):
    class Shown(Pointwise):
        def forward(self, x):
            return SegOutput(-(x[:, 3:] - torch.arange(C)[:, None, None]).square(), x, None)

    label = np.random.default_rng(2).integers(0, C, image.shape[:2], np.uint8)
    for inference in (Inference(native=True), Inference(native=True, window=(40, 50), flip=True)):
        given = predict(Shown(), image, label, (32, 32), lambda shown: shown[:, None].float(), inference)
        np.testing.assert_array_equal(given, label)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": (8, 8)}, "give --window too"),
        ({"window": (8, 8), "stride": (8, 9)}, "never be seen"),
        ({"scales": ()}, "positive numbers"),
        ({"scales": (1.0, 0.0)}, "positive numbers"),
        ({"scales": (float("nan"),)}, "positive numbers"),
    ],
)
def test_what_cannot_be_is_said(options, message):
    with pytest.raises(UsageError, match=message):
        Inference(**options)


MEMORY = """
import numpy as np
from edgekd.models import Segmenter
from edgekd.train.evaluate import predict
from edgekd.train.inference import Inference
image = np.zeros((1024, 2048, 3), np.uint8)
for name, inference in (
    ("deeplabv3-resnet18d", Inference(native=True)),
    ("lraspp-mobilenetv3_small_050", Inference(native=True, window=(512, 1024), stride=(512, 512))),
    ("lraspp-mobilenetv3_small_050", Inference(native=True, scales=(1.75,), flip=True)),
):
    predict(Segmenter(name, 19, head_channels=128).eval(), image, image[..., 0], (1024, 2048), inference=inference)
    # not getrusage, whose peak a process inherits from the one that started it
    lines = open("/proc/self/status").read().splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20)
"""


def test_a_cityscapes_image_stays_within_two_gigabytes():
    """The papers' student at output stride 8, whole; the other ways with a light model, because one image takes the student minutes."""
    result = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    peaks = [float(line) for line in result.stdout.split()]
    assert len(peaks) == 3 and max(peaks) < 2, "peak resident GB, of the process so far"


def test_from_the_command_line(tmp_path, tiny_file, edgekd):
    run = tmp_path / "run"
    edgekd(
        "train",
        "--recipe",
        tiny_file,
        "--steps",
        2,
        "--imgsz",
        "64x96",
        "--set",
        "data.options.size=[64, 96]",
        "--set",
        "data.options.count=4",
        "--out",
        run,
    )
    plain = json.loads(edgekd("eval", run, "--json").stdout)
    assert plain["inference"]["scales"] == [1.0] and not plain["inference"]["native"]
    assert json.loads(edgekd("eval", run, "--native", "--json").stdout)["miou"] == plain["miou"], "the images are the rectangle's size"
    more = ["--window", "32x48", "--stride", "16x16", "--scales", "0.5,1,1.75", "--flip", "--json"]
    slid = json.loads(edgekd("eval", run, *more).stdout)
    asked = {"native": True, "window": [32, 48], "stride": [16, 16], "scales": [0.5, 1.0, 1.75], "flip": True}
    assert slid["inference"] == asked | {"short_side": None}
    assert 0 <= slid["miou"] <= 1 and slid["iou"] != plain["iou"]
    for arguments, message in {
        ("--native", "--imgsz", "32x32"): "leave --imgsz out",
        ("--scales", "1,big"): "--scales takes numbers",
        ("--stride", "8x8"): "give --window too",
        ("--window", "8"): "HEIGHTxWIDTH",
    }.items():
        assert message in edgekd("eval", run, *arguments, code=2).stderr
    assert "takes its own rectangle only" in edgekd("eval", tmp_path / "model.onnx", "--flip", code=2).stderr


def test_the_short_side_is_that_of_the_network_input(network, image):
    """Each image keeps its form: that is the rectangle of the same size."""
    label = np.zeros(image.shape[:2], np.uint8)
    by_side = predict(network, image, label, (32, 32), inference=Inference(native=True, short_side=48))
    small = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
    expected = predict(network, small, np.zeros((48, 64), np.uint8), (32, 32), inference=Inference(native=True))
    assert by_side.shape == label.shape and (by_side[::2, ::2] == expected).mean() > 0.95
    assert Inference(native=True, short_side=512).size_of(375, 500) == (512, 683)
