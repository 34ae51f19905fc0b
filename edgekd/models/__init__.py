"""Segmenters: backbone + head + classifier, built by name."""

from edgekd.models.checkpoint import SegmenterFile, load_segmenter, save_segmenter
from edgekd.models.deploy import deployable
from edgekd.models.segmenter import Segmenter, SegOutput, build_segmenter

__all__ = ["SegOutput", "Segmenter", "SegmenterFile", "build_segmenter", "deployable", "load_segmenter", "save_segmenter"]
