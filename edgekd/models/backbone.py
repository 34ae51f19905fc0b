"""Backbones: any timm model with feature maps, its weights from timm's hub or a local file."""

import functools
import logging
import math
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from timm.layers import Format
from torch import Tensor, nn
from torch.nn import functional as F

import edgekd.models.stdc  # noqa: F401  (registers its models with timm)
from edgekd.models.heads import Levels
from edgekd.models.pyramid import STRIDES, SimplePyramid
from edgekd.models.weights import read_weights
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.plugins import is_reference, load_reference

PARALLEL: dict[str, dict[str, Any]] = {"hrnet": {"feature_location": "", "out_indices": (1, 2, 3, 4)}}
"""Families whose branches run side by side to the end, and how timm gives the branches themselves."""
EXTRA_START = 0.1
"""Standard deviation of the weights of input channels beyond RGB, before training (LAD)."""
BGR_MEAN, BGR_STD = (122.675 / 255, 116.669 / 255, 104.008 / 255), (1 / 255, 1 / 255, 1 / 255)
"""Of RGB in 0–1, for weights that read 0–255 less the mean."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """timm feature extractor whose levels are at powers of two, for images of any size.

    A plain vision transformer has one map; `SimplePyramid` makes the levels of it. Its patches are scaled to a power of two: of a network
    with patches of 14 pixels, 16 pixels of the image become one patch. A network that does not take every size, or gives smaller maps than
    ⌈size / stride⌉ (transformers, HRNet, ConvNeXt), sees the image filled up to a multiple of its coarsest stride with the mean colour.

    Args:
        name: timm model name.
        output_stride: 8 or 16; 32 and None = as deep as the backbone goes.
        in_channels: Image channels; more than 3 keep the RGB weights and start the others at 0.1·N(0, 1) (LAD).
        weights: None, ``timm``, or the path of a local ImageNet checkpoint.
        pixels: What they were trained on: ``rgb`` normalised as timm says, or ``bgr`` from 0 to 255 less its mean.

    Attributes:
        net: The network of timm: what the weights are for.
        pyramid: Levels of a plain transformer's map; None for every other network.
        levels: Channels and strides of the feature maps.
        mean, std: Normalisation of RGB in 0–1 that the weights expect.

    Raises:
        UsageError: If there is no such backbone, or it can't reach the output stride.
        EdgeKDError: If the weights can't be had or do not fit.
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int | None = None,
        in_channels: int = 3,
        weights: str | None = None,
        pixels: Literal["rgb", "bgr"] = "rgb",
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "in_chans": min(in_channels, 3),
            **({"output_stride": output_stride} if output_stride in (8, 16) else {}),
        }
        if not (timm.is_model(name) or is_reference(name)):
            raise UsageError(f"Unknown backbone {name!r}{nearest(name, timm.list_models())}; `edgekd models --backbones` lists them.")
        parallel = PARALLEL.get(name.partition("_")[0])
        options |= parallel or {}
        if weights == "timm":
            options["pretrained"] = True
        elif weights is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": match_by_order(name, Path(weights))}}
        self.net = _create(name, options)
        info: Any = self.net.feature_info
        channels, strides = tuple(info.channels()), tuple(info.reduction())
        self.pyramid, self._patch_scale = None, 1.0
        if len(set(strides)) == 1:
            stride = 2 ** round(math.log2(strides[0]))
            self.pyramid, self._patch_scale = SimplePyramid(channels[-1], stride), strides[0] / stride
            channels, strides = self.pyramid.channels, STRIDES
        self.levels = Levels(channels, strides, parallel is not None)
        self._channels_last = getattr(self.net, "output_fmt", "NCHW") in ("NHWC", Format.NHWC)
        self._fills = self._has_to_fill(name, output_stride)
        config = getattr(self.net, "pretrained_cfg", None) or {}
        self.mean, self.std = tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))
        if pixels == "bgr":
            turn_input(self.net)
            self.mean, self.std = BGR_MEAN, BGR_STD
        if in_channels > 3:
            widen_input(self.net, in_channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        if not self._fills:
            return self._maps(image)
        (height, width), strides = image.shape[-2:], self.levels.strides
        maps = self._maps(F.pad(image, (0, -width % strides[-1], 0, -height % strides[-1])))
        return [x[..., : -(-height // stride), : -(-width // stride)] for x, stride in zip(maps, strides, strict=True)]

    def _maps(self, image: Tensor) -> list[Tensor]:
        if self._patch_scale != 1:
            size = [round(side * self._patch_scale) for side in image.shape[-2:]]
            image = F.interpolate(image, size, mode="bilinear", align_corners=False)
        maps = self.net(image)
        if self._channels_last:
            maps = [x.permute(0, 3, 1, 2) for x in maps]
        return maps if self.pyramid is None else self.pyramid(maps[-1])

    def _has_to_fill(self, name: str, output_stride: int | None) -> bool:
        """Whether an image of any size has to be filled up; asked once per process of each network, with two small images."""
        if (name, output_stride) not in _FILLS:
            training = self.net.training
            self.net.eval()
            _FILLS[name, output_stride] = not self._takes((65, 97))
            if _FILLS[name, output_stride] and not self._takes((64, 96)):
                raise UsageError(f"{name} does not take images of every size; choose another backbone.")
            self.net.train(training)
        return _FILLS[name, output_stride]

    @torch.no_grad()
    def _takes(self, size: tuple[int, int]) -> bool:
        """Whether an image of that size gives maps of ⌈size / stride⌉."""
        try:
            maps = self._maps(torch.zeros(1, 3, *size))
        except (RuntimeError, AssertionError, ValueError, IndexError):
            return False
        return [tuple(x.shape[-2:]) for x in maps] == [tuple(-(-side // stride) for side in size) for stride in self.levels.strides]


_FILLS: dict[tuple[str, int | None], bool] = {}
"""Answers of `Backbone._has_to_fill`."""

# of an ImageNet checkpoint the classifier is never used; timm warns of it as if the file did not fit
logging.getLogger("timm.models._builder").addFilter(lambda record: not record.getMessage().startswith("Unexpected keys"))


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        net = _any_size(name, options)
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
    info: Any = net.feature_info
    strides = info.reduction()
    if not {4, 8} <= set(strides) and not (len(set(strides)) == 1 and 4 <= strides[0] <= 32):
        raise UsageError(f"{name} has feature maps at strides {strides} only; a segmenter needs 4 and 8 too, or a single stride.")
    return net


def _any_size(name: str, options: dict[str, Any]) -> nn.Module:
    """With position embeddings and windows for images of any size, where the network has them and can."""
    if is_reference(name):
        net: nn.Module = load_reference(name)(features_only=True, **options)
        return net
    try:
        return timm.create_model(name, features_only=True, dynamic_img_size=True, **options)
    except TypeError as error:
        if "dynamic_img_size" not in str(error):
            raise
    return timm.create_model(name, features_only=True, **options)


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


def turn_input(net: nn.Module) -> None:
    """Let the convolutions that read the image read RGB where their weights are for BGR."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d) and module.in_channels == 3:
                module.weight.copy_(module.weight.flip(1))


def widen_input(net: nn.Module, in_channels: int) -> None:
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
