"""Tiles: what they show fits together, whatever the frame's size."""

from itertools import pairwise

import numpy as np
import pytest

from edgekd_runtime.errors import UsageError
from edgekd_runtime.image import fit, fit_classes
from edgekd_runtime.video import demo
from edgekd_runtime.video.tiles import Tiled, parse_tiles, spans
from tests.runtime.test_video import Brightness, write


class Network(Brightness):
    """The same at the network's own 40×60, as a session has it."""

    def __init__(self):
        self.seen = []

    def class_map(self, image):
        self.seen.append(image.shape[:2])
        return super().class_map(fit(image, (40, 60)))


@pytest.mark.parametrize(("length", "count"), [(97, 3), (10, 4), (64, 1), (1080, 8)])
def test_what_is_kept_covers_the_side_once_and_lies_in_what_is_seen(length, count):
    found = spans(length, count)
    assert [pixel for kept, _ in found for pixel in range(*kept)] == list(range(length))
    assert all(low <= kept_low and kept_high <= high for (kept_low, kept_high), (low, high) in found)
    assert all(first[1][1] > second[1][0] for first, second in pairwise(found))  # neighbours overlap


@pytest.mark.parametrize("size", [(97, 121), (40, 60), (81, 122)])
def test_a_picture_in_tiles_is_the_picture(size):
    rows, columns = np.mgrid[: size[0], : size[1]]
    shape = ((rows - size[0] / 3) ** 2 + (columns - size[1] / 2) ** 2 < (size[0] / 4) ** 2).astype(np.uint8)
    image = np.repeat(255 * shape[..., None], 3, 2)
    network = Network()
    tiled = Tiled(network, 2, 3).class_map(image)
    assert tiled.shape == size and (tiled == shape).mean() > 0.98 and len(network.seen) == 6
    # twice and three times the resolution: a boundary is followed more closely than by one look at all of it
    assert (tiled != shape).sum() <= (fit_classes(Network().class_map(image), size) != shape).sum()


def test_a_demo_in_tiles(tmp_path):
    write(tmp_path / "in.avi", 3, (96, 128))
    network, seen = Network(), []
    demo(network, tmp_path / "in.avi", None, tiles=(2, 2), opacity=1.0, show=lambda image: seen.append(image.copy()))
    assert len(seen) == 3 and set(network.seen) == {(60, 80)}


def test_tiles_that_cannot_be():
    assert parse_tiles("2x3") == (2, 3)
    for wrong in ("2", "0x2", "9x9", "axb"):
        with pytest.raises(UsageError, match="ROWSxCOLUMNS"):
            parse_tiles(wrong)
    with pytest.raises(UsageError, match="can't be cut into 8x1"):
        Tiled(Network(), 8, 1).class_map(np.zeros((4, 60, 3), np.uint8))
