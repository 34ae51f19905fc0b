"""Somebody's ONNX file to INT8, measured: `python examples/adopt.py NET.ONNX CAMVID OUT`."""

import sys

from edgekd.cli import main

net, data, out = sys.argv[1:]
prepared = ["--layout", "camvid", "--data-root", data, "--imgsz", "48x64", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"]
main(["adopt", net, *prepared, "--precision", "fp32,int8", "--calib-images", "4", "--out", out], standalone_mode=False)
main(["bench", out, "--seconds", "0.5"], standalone_mode=False)
