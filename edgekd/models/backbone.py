"""Backbones: any timm model with feature maps, its weights from timm's hub or a local file."""

import functools
import logging
from pathlib import Path
from typing import Any

import timm
import torch
from timm.layers import Format
from torch import Tensor, nn
from torch.nn import functional as F

import edgekd.models.stdc  # noqa: F401  (registers its models with timm)
from edgekd.config import nearest
from edgekd.models.heads import Levels
from edgekd.models.weights import read_weights
from edgekd_runtime.errors import EdgeKDError, UsageError

PARALLEL: dict[str, dict[str, Any]] = {"hrnet": {"feature_location": "", "out_indices": (1, 2, 3, 4)}}
"""Families whose branches run side by side to the end, and how timm gives the branches themselves."""
EXTRA_START = 0.1
"""Standard deviation of the weights of input channels beyond RGB, before training (LAD)."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """timm feature extractor.

    Args:
        name: timm model name.
        output_stride: 8 or 16; 32 and None = as deep as the backbone goes.
        in_channels: Image channels; more than 3 keep the RGB weights and start the others at 0.1·N(0, 1) (LAD).
        weights: None, ``timm``, or the path of a local ImageNet checkpoint.

    Attributes:
        levels: Channels and strides of the feature maps.
        mean, std: Normalisation of RGB in 0–1 that the weights expect.

    Raises:
        UsageError: If there is no such backbone, or it can't reach the output stride.
        EdgeKDError: If the weights can't be had or do not fit.
    """

    def __init__(self, name: str, *, output_stride: int | None = None, in_channels: int = 3, weights: str | None = None) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "in_chans": min(in_channels, 3),
            **({"output_stride": output_stride} if output_stride in (8, 16) else {}),
        }
        if not timm.is_model(name):
            raise UsageError(f"Unknown backbone {name!r}{nearest(name, timm.list_models())}; `edgekd models --backbones` lists them.")
        parallel = PARALLEL.get(name.partition("_")[0])
        options |= parallel or {}
        if weights == "timm":
            options["pretrained"] = True
        elif weights is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": match_by_order(name, Path(weights))}}
        self.net = _create(name, options)
        if in_channels > 3:
            _widen_input(self.net, in_channels)
        info: Any = self.net.feature_info
        self.levels = Levels(tuple(info.channels()), tuple(info.reduction()), parallel is not None)
        config = getattr(self.net, "pretrained_cfg", None) or {}
        self.mean, self.std = tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))

    def forward(self, image: Tensor) -> list[Tensor]:
        if not self.levels.parallel:
            return self.net(image)
        # parallel branches only meet again at multiples of the coarsest stride
        (height, width), strides = image.shape[-2:], self.levels.strides
        maps = self.net(F.pad(image, (0, -width % strides[-1], 0, -height % strides[-1])))
        return [x[..., : -(-height // stride), : -(-width // stride)] for x, stride in zip(maps, strides, strict=True)]


# of an ImageNet checkpoint the classifier is never used; timm warns of it as if the file did not fit
logging.getLogger("timm.models._builder").addFilter(lambda record: not record.getMessage().startswith("Unexpected keys"))


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        net = timm.create_model(name, features_only=True, **options)
    except (TypeError, AssertionError, NotImplementedError) as error:
        if "output_stride" in options:
            raise UsageError(f"{name} can't change its output stride; leave output_stride out of the recipe.") from error
        raise UsageError(f"{name} offers no feature maps ({error}); choose another backbone.") from error
    except RuntimeError as error:
        if options.get("pretrained") and "state_dict" not in options.get("pretrained_cfg_overlay", {}):
            raise EdgeKDError(f"timm has no pretrained weights for {name}: {error}; give a local file instead.") from error
        raise EdgeKDError(f"The weights do not fit {name}: {str(error).splitlines()[-1].strip()}") from error
    except OSError as error:
        raise EdgeKDError(f"The weights of {name} can't be fetched from timm's hub; give a local file instead of `timm`.") from error
    if getattr(net, "output_fmt", "NCHW") not in ("NCHW", Format.NCHW):
        raise UsageError(f"{name} gives channels-last feature maps, which the heads don't read; choose a convolutional backbone.")
    if not {4, 8} <= set(net.feature_info.reduction()):
        raise UsageError(f"{name} has feature maps at strides {net.feature_info.reduction()} only; a segmenter needs 4 and 8 too.")
    return net


@functools.cache
def can_dilate(name: str) -> bool:
    """Whether timm can build the backbone at an output stride below 32."""
    try:
        _create(name, {"in_chans": 3, "output_stride": 16})
    except UsageError:
        return False
    return True


def match_by_order(name: str, path: Path) -> dict[str, Tensor]:
    """A local checkpoint under timm's keys: as it is where the keys fit, else by position where every shape does.

    Raises:
        EdgeKDError: If neither fits; names the first tensor that differs.
    """
    given = read_weights(path)
    with torch.device("meta"):
        expected = timm.create_model(name).state_dict()
    if set(given) >= {key for key in expected if "classifier" not in key and not key.startswith(("fc.", "head."))}:
        return given
    values = [value for value in given.values() if value.ndim]  # without batch norm's counters, which older files lack
    wanted = [(key, value.shape) for key, value in expected.items() if value.ndim]
    if len(values) != len(wanted):
        raise EdgeKDError(f"{path} has {len(values)} tensors, {name} {len(wanted)}; give a checkpoint of this backbone.")
    for (key, shape), value in zip(wanted, values, strict=True):
        if value.shape != shape:
            raise EdgeKDError(f"{path} does not fit {name}: {key} is {tuple(shape)}, the file has {tuple(value.shape)} in its place.")
    counters = {key: torch.zeros((), dtype=value.dtype) for key, value in expected.items() if not value.ndim}
    return {key: value for (key, _), value in zip(wanted, values, strict=True)} | counters


def _widen_input(net: nn.Module, in_channels: int) -> None:
    """Give the convolutions that read the image more input channels; those of RGB stay, the new start at 0.1·N(0, 1)."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:  # one, or the parallel ones of a re-parametrised stem
            extra = EXTRA_START * torch.randn(module.out_channels, in_channels - 3, *module.kernel_size)
            module.weight = nn.Parameter(torch.cat([module.weight.detach(), extra], 1))
            module.in_channels = in_channels
            module.extra_inputs = in_channels - 3  # type: ignore[assignment]


def scale_extra_inputs(net: nn.Module, start: float) -> None:
    """Give the weights of the input channels beyond RGB of an untrained network another standard deviation."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d) and hasattr(module, "extra_inputs"):
                module.weight[:, 3:] *= start / EXTRA_START
