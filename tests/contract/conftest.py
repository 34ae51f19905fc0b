"""The independent evaluations of `benchmarks/peers.py`."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def peers():
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    import peers

    return peers
