"""Networks from elsewhere, one by one: what is found out about them, and what is said when something is wrong."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgekd.config import ModelRecipe, TaskRecipe, TransferRecipe
from edgekd.distill.objective import Distillation
from edgekd.distill.registry import TRANSFERS
from edgekd.distill.teacher import Teacher
from edgekd.distill.windows import look_through
from edgekd.models import NetworkFile, build_network, save_network
from edgekd.models.open import open_network
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from tests.models.own import Net
from tests.runtime.models import DATA, write_model

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
        (OWN.model_copy(update={"auxiliary_logits": "sied"}), UsageError, "auxiliary_logits='sied'; did you mean 'side'"),
        (OWN.model_copy(update={"features": "dwon"}), UsageError, "did you mean 'down'"),
        (OWN.model_copy(update={"classifier": "up"}), UsageError, "up is no 1x1 convolution"),
        (OWN.model_copy(update={"features": "tokens"}), UsageError, "'tokens' gives is no map"),
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


def test_an_onnx_teacher_of_a_newer_onnx_with_weights_beside_it(plain, tmp_path):
    module, image = plain
    torch.onnx.export(module, (image[:1],), tmp_path / "net.onnx", dynamo=True, verbose=False)
    model = onnx.load(tmp_path / "net.onnx")
    model.ir_version = 99
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="w", size_threshold=0)
    with torch.no_grad():
        found = build_network(ModelRecipe(name=str(tmp_path / "net.onnx")), 5)(image).logits
    torch.testing.assert_close(found, module(image), rtol=1e-4, atol=1e-5)
    (tmp_path / "w").unlink()
    with pytest.raises(EdgeKDError, match=r"net\.onnx keeps weights in another file"):
        build_network(ModelRecipe(name=str(tmp_path / "net.onnx")), 5)


def test_class_names_are_lent_by_a_sidecar_of_this_file_alone(tmp_path):
    file = write_model(tmp_path)
    assert build_network(ModelRecipe(name=str(file)), None).class_names == tuple("abcde")
    shutil.copyfile(DATA / "any.onnx", tmp_path / "other.onnx")
    assert build_network(ModelRecipe(name=str(tmp_path / "other.onnx")), None).class_names is None


def test_a_training_state_is_no_torchscript_file(tmp_path):
    (tmp_path / "recipe.yaml").write_text("{}")
    (tmp_path / "last.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=rf"last\.pt is the training state of a run.*name the run, {tmp_path}"):
        build_network(ModelRecipe(name=str(tmp_path / "last.pt")), 5)


def test_a_network_of_one_size_sees_the_image_resized(plain, tmp_path):
    module, image = plain
    torch.onnx.export(module, (image[:1],), tmp_path / "net.onnx", dynamo=True, verbose=False)
    network = build_network(ModelRecipe(name=str(tmp_path / "net.onnx")), 5)
    resized = nn.functional.interpolate(image, (64, 96), mode="bilinear", antialias=True)
    large = nn.functional.interpolate(image, (128, 192), mode="bilinear")
    assert network(large).logits.shape == module(resized).shape


def test_outputs_that_only_training_has_need_a_position():
    """[auxiliary, logits] in training and the logits alone in evaluation: the first would be the wrong head."""
    recipe = ModelRecipe(name="tests.models.own:DeepSupervised")
    with pytest.raises(UsageError, match=r"student\.logits=0"):
        build_network(recipe, 4).train()(torch.zeros(2, 3, 64, 64))
    network = build_network(recipe.model_copy(update={"logits": "1", "auxiliary_logits": "0"}), 4)
    image = torch.randn(2, 3, 64, 64)
    trained = network.train()(image)
    side, scores = network.module(image)
    assert torch.equal(trained.logits, scores) and torch.equal(trained.aux_logits, side)
    assert torch.equal(network.eval()(image).logits, network.module(image))
    wrong = build_network(recipe.model_copy(update={"logits": "1", "auxiliary_logits": "7"}), 4)
    with pytest.raises(UsageError, match="no logits B×C×H×W under auxiliary_logits='7'; leave it out"):
        wrong.train()(image)


class Plain(nn.Module):
    """Logits at the image's size of features at stride 4, as torchvision's networks have them."""

    def __init__(self):
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 8, 5, 4, 2), nn.Conv2d(8, 5, 1)

    def forward(self, image):
        return {"out": nn.functional.interpolate(self.last(self.body(image)), image.shape[-2:], mode="bilinear")}


@pytest.mark.parametrize("method", [name for name, kind in TRANSFERS.items() if "features" in kind.needs and "auxiliary" not in kind.needs])
def test_features_are_compared_at_the_students_own_stride(method):
    student = open_network(Plain(), 5, features="body")
    teacher = Teacher(build_network(ModelRecipe(name="fcn-resnet10t", auxiliary=False), 5))
    kd = Distillation(student, teacher, TaskRecipe(), [TransferRecipe(method=method)])
    parts = kd(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), torch.randint(0, 5, (2, 64, 64)), 0.5)
    sum(parts.values()).backward()
    assert student.module.body.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("kernel", [4, 1])
def test_windows_of_a_network_that_takes_any_size_leave_no_gap(kernel):
    network = open_network(nn.Conv2d(3, 5, kernel, 4)).eval()  # stride 4, and no size that it has to have; without and with a last row
    image = torch.randn(1, 3, 665, 601)
    with torch.no_grad():
        seen, whole = look_through(network, image, (512, 500)).logits, network(image).logits
    assert network.multiple == 1 and seen.shape == whole.shape
    torch.testing.assert_close(seen, whole, rtol=1e-4, atol=1e-5)


def test_a_teacher_goes_where_its_student_goes():
    teacher = open_network(nn.Conv2d(3, 5, 1))
    kd = Distillation(open_network(Plain(), 5), Teacher(teacher), TaskRecipe(), [TransferRecipe(method="pd")])
    kd.to("meta")
    assert all(tensor.is_meta for tensor in (*teacher.parameters(), teacher.mean, kd.student.mean))
    assert open_network(nn.Conv2d(3, 5, 1, device="meta"), 5).num_classes == 5


def test_a_pooled_batch_norm_is_noticed():
    pooled = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4), nn.Upsample((8, 8)))
    assert open_network(pooled, 4).pools_globally and not build_network(OWN, 5).pools_globally


def test_torchvisions_network_is_the_same_one_when_no_weights_are_fetched(monkeypatch):
    """Its `weights` bring an auxiliary head along, which a checkpoint of the network then holds."""
    recipe = ModelRecipe(name="torchvision.models.segmentation:fcn_resnet50", options={"weights": "DEFAULT"})
    made = build_network(recipe, 21, pretrained=False)
    assert "auxiliary" in made.gives and any("aux_classifier" in name for name, _ in made.named_parameters())


def test_an_opened_network_is_not_changed_by_options():
    opened = open_network(nn.Conv2d(3, 5, 1))
    assert open_network(opened, 5) is opened
    with pytest.raises(UsageError, match="5 classes, not 4"):
        open_network(opened, 4)
    with pytest.raises(UsageError, match="features would do nothing"):
        open_network(opened, features="x")


def test_weights_that_two_modules_share_are_kept(tmp_path):
    module = nn.Conv2d(3, 3, 1)
    state = {"one": module.weight, "other": module.weight}
    save_network(tmp_path / "w.safetensors", state, NetworkFile(OWN, ClassSet(("a",), ((0, 0, 0),)), 3, 0.5))
    assert torch.equal(load_file(tmp_path / "w.safetensors")["other"], module.weight)
