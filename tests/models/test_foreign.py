"""Networks from elsewhere, one by one: what is found out about them, and what is said when something is wrong."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.config import ModelRecipe
from edgekd.models import build_network
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from tests.models.own import Net

OWN = ModelRecipe(name="tests.models.own:Net", logits="scores", auxiliary_logits="side")


def test_what_is_found_out_about_a_module():
    network = build_network(OWN.model_copy(update={"classifier": "last"}), 5)
    assert network.num_classes == 5 and network.multiple == 8 and network.gives == {"features", "classifier", "auxiliary"}
    assert network.feature_channels == 8 and network.classifier is network.module.last
    image = torch.randn(2, 3, 60, 90)
    network.eval()
    output = network(image)
    assert output.logits.shape == (2, 5, 60, 90)
    torch.testing.assert_close(network.classifier(output.features), output.logits)
    padded = nn.functional.pad(image, (0, 6, 0, 4))
    torch.testing.assert_close(output.logits, network.module(padded)["scores"][..., :60, :90])
    torch.testing.assert_close(network.deployable()(image), output.logits)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    network.drop_auxiliary()
    assert network.gives == {"features", "classifier"} and network(image).aux_logits is None


def test_features_by_the_name_of_a_module():
    network = build_network(OWN.model_copy(update={"features": "down"}), 5).eval()
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(network(image).features, network.module.down(image))
    assert "classifier" not in network.gives and network.feature_channels == 8


def test_a_fourth_channel_is_read():
    network = build_network(OWN, 5, in_channels=4).eval()
    image = torch.randn(1, 4, 64, 64)
    assert not torch.equal(network(image).logits, network(image * torch.tensor([1.0, 1, 1, 0])[:, None, None]).logits)


@pytest.mark.parametrize(
    ("recipe", "error", "says"),
    [
        (ModelRecipe(name="tests.models.own:Nets"), UsageError, "has no Nets"),
        (ModelRecipe(name="no_such_package:Net"), MissingError, "no_such_package"),
        (ModelRecipe(name="os:system"), UsageError, "Python's own library"),
        (ModelRecipe(name="tests.models.own:broken"), UsageError, "no such configuration"),
        (ModelRecipe(name="tests.models.own:NotANetwork"), UsageError, r"not a torch\.nn\.Module"),
        (OWN.model_copy(update={"options": {"widht": 4}}), UsageError, "widht"),
        (OWN.model_copy(update={"logits": "out"}), UsageError, "scores, side"),
        (OWN.model_copy(update={"features": "dwon"}), UsageError, "did you mean 'down'"),
        (OWN.model_copy(update={"options": {"classes": 3}}), UsageError, "3 classes but the data has 5"),
        (ModelRecipe(name="missing.onnx"), EdgeKDError, r"missing\.onnx"),
        (ModelRecipe(name="missing.pt2"), EdgeKDError, r"missing\.pt2"),
        (ModelRecipe(name="hf:/no/such/folder"), EdgeKDError, "config.json"),
        (ModelRecipe(name="lrasp-resnet18"), UsageError, "did you mean 'lraspp'"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_sentence(recipe, error, says):
    with pytest.raises(error, match=says):
        build_network(recipe, 5)


def test_a_checkpoint_of_the_whole_network(tmp_path):
    made = Net(5)
    torch.save(made.state_dict(), tmp_path / "w.pth")
    torch.save({f"module.{key}": value for key, value in made.state_dict().items()}, tmp_path / "other.pth")
    for file in ("w.pth", "other.pth"):
        loaded = build_network(OWN.model_copy(update={"weights": str(tmp_path / file)}), 5)
        assert torch.equal(loaded.module.last.weight, made.last.weight)
    with pytest.raises(EdgeKDError, match=r"w\.pth does not fit"):
        build_network(OWN.model_copy(update={"weights": str(tmp_path / "w.pth"), "options": {"width": 4}}), 5)


@pytest.fixture(scope="module")
def plain():
    """Logits at stride 2 of any size, and what it gives on two images."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1)).eval()
    return module, torch.randn(3, 3, 64, 96)


def test_compiled_files_teach(plain, tmp_path):
    module, image = plain
    torch.jit.trace(module, image).save(tmp_path / "net.pt")
    torch.export.save(torch.export.export(module, (image[:2],)), tmp_path / "net.pt2")  # batches of 2, 64x96
    torch.onnx.export(module, (image[:1],), tmp_path / "net.onnx", dynamo=True, input_names=["image"], verbose=False)  # of 1
    for name in ("net.pt", "net.pt2", "net.onnx"):
        recipe = ModelRecipe(name=str(tmp_path / name), trust=True)
        network = build_network(recipe, 5)
        assert not network.trainable and network.gives == frozenset()
        with torch.no_grad():
            torch.testing.assert_close(network(image).logits, module(image), rtol=1e-4, atol=1e-5, msg=name)
        if name != "net.onnx":
            with pytest.raises(UsageError, match="--trust"):
                build_network(recipe.model_copy(update={"trust": False}), 5)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    np.testing.assert_allclose(session.run(None, {"image": image[:1].numpy()})[0], module(image[:1]).detach(), rtol=1e-3, atol=1e-4)


def test_a_network_of_one_size_sees_the_image_resized(plain, tmp_path):
    module, image = plain
    torch.onnx.export(module, (image[:1],), tmp_path / "net.onnx", dynamo=True, verbose=False)
    network = build_network(ModelRecipe(name=str(tmp_path / "net.onnx")), 5)
    resized = nn.functional.interpolate(image, (64, 96), mode="bilinear", antialias=True)
    large = nn.functional.interpolate(image, (128, 192), mode="bilinear")
    assert network(large).logits.shape == module(resized).shape
