"""One's own loss, head, layout and backend by ``package.module:Name``, without a line changed here."""

import numpy as np
import pytest

from edgekd.data import open_layout
from edgekd.models import Segmenter
from edgekd_runtime.backends import BACKENDS, open_session
from edgekd_runtime.errors import UsageError
from tests.runtime.models import write_model

CODE = """
import numpy as np
from torch import nn
from edgekd.data.layout import Layout, Sample
from edgekd.models.heads.base import Head
from edgekd_runtime.backends import Backend
from edgekd_runtime.backends.base import Session
from edgekd_runtime.classes import ClassSet

class Narrow(Head):
    title = "a 1x1 convolution"
    def __init__(self, levels, width, num_classes):
        super().__init__(levels, width, num_classes)
        self.out_channels, self.stride = width, levels.stride(-1)
        self.block = nn.Conv2d(levels.width(-1), width, 1)
    def forward(self, levels):
        return self.block(levels[-1])

class Noise(Layout):
    title, tree = "noise", "nothing"
    def __init__(self, split, classes=2):
        self.classes = ClassSet(tuple("ab"[:classes]), ((1, 2, 3), (4, 5, 6))[:classes])
    def __len__(self): return 3
    def name(self, index): return str(index)
    def read(self, index): return Sample(np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32), np.uint8))

class Constant(Session):
    def __init__(self, file, artifact, threads):
        self.artifact, self.backend, self.version = artifact, "constant", "1"
    def run(self, image):
        return np.ones((1, *self.artifact.size), np.uint8)

CONSTANT = Backend(".onnx", Constant, lambda: "1")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_parts.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield "own_parts"
    BACKENDS.pop("own_parts:CONSTANT", None)


def test_a_head(own):
    assert Segmenter(f"{own}:Narrow-resnet10t", 3, head_channels=16).stride == 8


def test_a_layout_and_its_options(own):
    assert len(open_layout(f"{own}:Noise", "train")) == 3
    assert len(open_layout(f"{own}:Noise", "train", classes=1).classes) == 1
    with pytest.raises(UsageError, match="no option 'clases'; did you mean 'classes'"):
        open_layout(f"{own}:Noise", "train", clases=1)


def test_a_backend_and_benchmark(own, tmp_path, edgekd):
    model = write_model(tmp_path / "model")
    with open_session(model, f"{own}:CONSTANT") as session:
        assert (session.predict(np.zeros((48, 64, 3), np.uint8), (48, 64)) == 1).all()
    BACKENDS.pop(f"{own}:CONSTANT")
    edgekd("bench", model, "--backend", f"{own}:CONSTANT", "--no-accuracy", "--seconds", 0.1)


def test_what_is_none_is_named(own, tmp_path):
    with pytest.raises(UsageError, match="no edgekd_runtime"):
        open_session(write_model(tmp_path / "model"), f"{own}:Noise")
