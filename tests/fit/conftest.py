"""A candidate's files, made once for all tests of the folder."""

import pytest

from edgekd.config import ModelRecipe
from edgekd.fit.candidate import Candidate
from edgekd.fit.untrained import export_untrained

CLASSES = 5
CANDIDATE = Candidate(ModelRecipe(name="fcn-resnet10t", output_stride=32, head_channels=16), (64, 96))


@pytest.fixture(scope="package")
def untrained(tmp_path_factory):
    """Folder, and what was written into it: FP32 and INT8."""
    folder = tmp_path_factory.mktemp("untrained")
    return folder, export_untrained(CANDIDATE, CLASSES, folder, ("fp32", "int8"), ("cpu",))
