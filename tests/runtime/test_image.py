"""Colours, blend, legend and resizing beside their formulas."""

import cv2
import numpy as np

from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.image import fit, legend, overlay, paint


def test_paint_and_overlay_are_the_formula():
    classes = ClassSet(("a", "b", "c"), default_palette(3))
    class_map = np.array([[0, 1, 2, 255]], np.uint8)
    expected = np.array([[*classes.palette, (0, 0, 0)]], np.uint8)
    assert (paint(class_map, classes) == expected).all()
    image = np.full((1, 4, 3), 100, np.uint8)
    blended = np.rint(0.75 * image + 0.25 * expected)
    assert np.abs(overlay(image, class_map, classes, 0.25).astype(int) - blended).max() <= 1
    canvas = np.zeros((3, 9, 3), np.uint8)
    overlay(image, class_map, classes, 0.25, canvas[1:2, 2:6])
    assert np.abs(canvas[1:2, 2:6].astype(int) - blended).max() <= 1
    canvas[1:2, 2:6] = 0
    assert not canvas.any()


def test_fit_keeps_what_fits_and_averages_what_shrinks():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert (fit(image, (8, 8)) == image).all()
    assert np.abs(fit(image, (4, 4)).astype(float) - image.reshape(4, 2, 4, 2, 3).mean((1, 3))).max() <= 0.51


def test_legend_has_its_size_and_colours():
    panel = legend(ClassSet(("a", "b"), ((10, 200, 30), (200, 10, 30))), 60)
    assert panel.shape == (60, 150, 3) and (panel == (10, 200, 30)).all(2).any() and (panel == (200, 10, 30)).all(2).any()
    assert cv2.countNonZero(panel[..., 0]) > 0
