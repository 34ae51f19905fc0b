"""Segmenters: backbone + head + classifier, built by name."""

from edgekd.models.segmenter import Segmenter, SegmenterFile, SegOutput, build_segmenter, load_segmenter, save_segmenter

__all__ = ["SegOutput", "Segmenter", "SegmenterFile", "build_segmenter", "load_segmenter", "save_segmenter"]
