"""TF32: products of FP32 numbers with 10 bits of mantissa, the default of NVIDIA's libraries from Ampere on.

An FP32 figure of a GPU means little without this, so it is recorded with every one, and can be switched off.
"""

import os

SWITCH = "NVIDIA_TF32_OVERRIDE"
"""NVIDIA's own: 0 keeps cuBLAS, cuDNN and TensorRT's builder from TF32, whatever a program asks for."""


def switch_off() -> None:
    """For this process and those it starts; before a library of CUDA is used."""
    os.environ[SWITCH] = "0"


def is_on() -> bool:
    """Whether FP32 products may be TF32 here."""
    return os.environ.get(SWITCH) != "0"


def words(on: bool | None = None) -> str:
    """What a library's version is followed by in a record; of this process by default."""
    return f" (TF32 {'on' if (is_on() if on is None else on) else 'off'})"
