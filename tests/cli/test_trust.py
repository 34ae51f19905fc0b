"""`edgekd --trust`: a run of a stranger names code, which does not run before the user says so."""

import pytest
import torch

from edgekd.config import ModelRecipe
from edgekd.data.streetscape.classes import CLASSES
from edgekd.models import NetworkFile, save_network


@pytest.fixture
def run(stranger, tmp_path, tiny_file):
    """A run as it comes from somebody else, whose network is the stranger's."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.yaml").write_text(tiny_file.read_text().replace("lraspp-mobilenetv3_small_050", stranger))
    save_network(tmp_path / "run/best.safetensors", {"w": torch.zeros(1)}, NetworkFile(ModelRecipe(name=stranger), CLASSES, 3, 0.5))
    return tmp_path / "run"


VERBS = {
    "eval": ["eval", "{run}"],
    "export": ["export", "{run}"],
    "distill": ["distill", "--recipe", "{recipe}", "--teacher", "{run}", "--out", "out"],
    "resume": ["distill", "--out", "{run}", "--resume"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_of_it_runs_untrusted(verb, run, tiny_file, edgekd):
    (run / "last.pt").touch()
    words = [word.format(run=run, recipe=tiny_file) for word in VERBS[verb]]
    said = edgekd(*words, code=2).stderr
    assert "is code that a file names" in said and "edgekd --trust VERB" in said and "EDGEKD_TRUST=1" in said
    assert not (run.parent / "ran").exists()


def test_it_runs_when_the_user_says_so(run, edgekd):
    assert "not a torch.nn.Module" in edgekd("--trust", "eval", run, code=2).stderr
    assert (run.parent / "ran").exists()
