"""Class maps of images: `python examples/predict.py MODEL IMAGES OUT`."""

import sys

import edgekd

model, images, out = sys.argv[1:]
for one in edgekd.predict(images, model, out, overlays=True):
    widest = max(one.shares, key=one.shares.get)
    print(f"{one.image}: {widest} {100 * one.shares[widest]:.0f} %, mask in {one.mask}")
