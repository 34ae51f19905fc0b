"""Whole networks: published files load into them by name and by order, and what recipes may ask of them."""

import pytest
import torch
from safetensors.torch import save_file

from edgekd.config import ModelRecipe
from edgekd.models.build import build_network
from edgekd.models.networks import NETWORKS
from edgekd.models.networks.whole import WholeNetwork
from edgekd_runtime.errors import EdgeKDError, UsageError

PUBLISHED_NAMES = {
    "pidnet-s": """
        conv1.0.weight layer3_d.conv1.weight pag3.f_x.0.weight spp.scale4.3.weight spp.scale_process.2.weight seghead_p.conv2.bias
        seghead_d.bn1.weight final_layer.conv1.weight final_layer.conv2.bias dfm.conv_p.1.bias
    """,
    "ddrnet-23-slim": """
        conv1.4.running_mean down4.3.weight layer5_.0.downsample.0.weight spp.process4.0.weight seghead_extra.conv1.weight
        final_layer.bn2.bias
    """,
    "bisenetv2": """
        detail.S1.0.conv.weight segment.S1S2.left.0.bn.weight segment.S5_4.0.shortcut.2.weight bga.left2.0.weight
        head.conv.conv.weight head.conv_out.1.weight aux5_4.conv_out.0.1.conv.weight aux2.conv.bn.bias
    """,
    "regseg": """
        stem.conv.weight body.stage4.shortcut.conv.weight body.stage16.3.conv2.convs.1.weight body.stage8.0.se.conv1.bias
        decoder.head4.bn.weight decoder.classifier.weight
    """,
    "ffnet-40s": """
        backbone_model.conv0.weight backbone_model.layer4.3.bn2.weight head.layers.0.adapter_conv.3.layers.0.weight
        head.layers.1.fam_32_up.layers.0.weight head.layers.1.fam_4.layers.1.bias head.layers.3.last_layer.3.bias
    """,
}
"""Some names of the files that the public codes write."""
WHOLE = [name for name, kind in NETWORKS.items() if isinstance(kind, type) and issubclass(kind, WholeNetwork)]


def build(name, classes=4, seed=0, **options):
    torch.manual_seed(seed)
    return build_network(ModelRecipe(name=name, **options), classes, options.pop("in_channels", 3))


def published(network):
    """Its tensors under the names that the public code gives them."""
    back = sorted(network.keys.items(), key=lambda pair: -len(pair[1]))
    result = {}
    for key, value in network.state_dict().items():
        theirs = next((given + key.removeprefix(ours) for given, ours in back if key.startswith(ours)), key.removeprefix("trunk."))
        result[theirs] = value
    return result


def same(one, other, but=()):
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(value, theirs) for (key, value), theirs in pairs if not key.startswith(tuple(but)))


@pytest.mark.parametrize("name", PUBLISHED_NAMES)
def test_our_tensors_have_the_published_names(name):
    theirs = published(build(name))
    assert set(PUBLISHED_NAMES[name].split()) <= set(theirs)
    assert len(theirs) == len(build(name).state_dict())


@pytest.mark.parametrize("name", WHOLE)
def test_a_published_file_loads_by_name_and_by_order(name, tmp_path, capsys):
    source = build(name, seed=1)
    file = tmp_path / "published.safetensors"
    save_file({f"module.model.{key}": value.contiguous() for key, value in published(source).items()}, file)
    assert same(build(name, weights=str(file)), source)
    save_file({f"{index:04}": value.contiguous() for index, value in enumerate(source.state_dict().values())}, file)
    assert same(build(name, weights=str(file)), source)
    deployed = [value for key, value in source.state_dict().items() if not key.startswith("training_only.")]
    save_file({f"{index:04}": value.contiguous() for index, value in enumerate(deployed)}, file)
    assert same(build(name, weights=str(file)), source, but=("training_only.",))
    assert "at random" in capsys.readouterr().err or not build(name).training_only


def test_other_classes_other_channels_and_a_backbone_alone(tmp_path, capsys):
    """What the file does not have starts at random, and is named."""
    source = build("fast-scnn", classes=19, seed=1)
    file = tmp_path / "published.safetensors"
    save_file(published(source), file)
    ours = build("fast-scnn", classes=4, weights=str(file))
    assert same(ours.trunk, source.trunk) and same(ours.head, source.head) and ours.classifier.out_channels == 4
    said = capsys.readouterr().err
    assert "classifier" in said and "training_only.auxiliary" in said and "trunk" not in said
    torch.manual_seed(0)
    wide = build_network(ModelRecipe(name="fast-scnn", weights=str(file)), 4, 4)
    first, theirs = (each.trunk.learning_to_downsample[0][0].weight for each in (wide, source))
    assert torch.equal(first[:, :3], theirs) and 0.05 < first[:, 3].std() < 0.2
    save_file({key: value for key, value in published(source).items() if not key.startswith(("classifier", "auxlayer"))}, file)
    assert same(build("fast-scnn", weights=str(file)).trunk, source.trunk)


def test_a_file_of_another_network_is_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    save_file(published(build("fast-scnn")), file)
    with pytest.raises(EdgeKDError, match=r"other.safetensors does not fit: neither the names"):
        build("regseg", weights=str(file))


def test_what_a_recipe_may_not_ask(tmp_path):
    with pytest.raises(UsageError, match="pidnet-s has one output stride; leave output_stride out"):
        build("pidnet-s", output_stride=8)
    with pytest.raises(UsageError, match="timm has no weights of fast-scnn; give weights the path"):
        build("fast-scnn", weights="timm")


def test_without_auxiliary_there_is_nothing_for_training_only():
    network = build("pidnet-s", auxiliary=False).train()
    output = network(torch.zeros(2, 3, 64, 64))
    assert output.aux_logits is None and output.boundary is None and "auxiliary" not in network.gives


def test_pp_liteseg_keeps_its_name_and_has_the_widths_of_the_paper():
    """Table 1: decoder channels 32, 64, 128 of T on STDC1, and 64, 96, 128 of B on STDC2."""
    for name, depth, widths in (("pp-liteseg-t", 2, (128, 64, 32)), ("pp-liteseg-b", 4, (128, 96, 64))):
        with torch.device("meta"):
            network = build(name)
        assert network.name == name and network.recipe.head_channels is None
        assert tuple(fusion.block[0].out_channels for fusion in network.head.fusions) == widths
        assert sum(key.endswith("avd_layer.0.weight") for key in network.state_dict()) == 3
        assert sum(".conv_list.0.conv.weight" in key for key in network.state_dict()) == {2: 6, 4: 12}[depth]
