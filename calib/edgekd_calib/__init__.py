"""Calibration for INT8: which images to use. No PyTorch here."""
