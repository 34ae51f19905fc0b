"""edgekd: distil a light segmentation student, export it, prove its latency and mIoU on the device, run it on video."""
