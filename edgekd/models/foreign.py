"""A network that somebody else wrote: its logits by key, its features by the name of a module, its sizes found by trying."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config import ModelRecipe
from edgekd.models.backbone import IMAGENET_MEAN, IMAGENET_STD, widen_input
from edgekd.models.fixed import FixedInput
from edgekd.models.network import Gift, Network, SegOutput
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest

LOGITS = ("out", "logits")
"""Keys that hold the logits where the recipe names none: torchvision's and transformers'."""
SIZES = ((96, 160), (224, 224), (512, 512))
"""Inputs that a network is tried with, first to last; all are multiples of 32."""
MULTIPLES = (1, 4, 8, 16)
"""Multiples that the sides of an input may have to be, tried in this order; 32 if none of them works."""
GRID = 32
"""What the strides of usual networks divide."""


class ForeignNetwork(Network):
    """Any module that maps normalised images B×3×H×W to something that holds logits.

    Args:
        recipe: Its `logits`, `features`, `classifier` and `auxiliary_logits` say where these are; `mean` and `std` what it expects.
        module: The network.
        num_classes: C; None = as many as it has.
        in_channels: 4 widens its first convolution for LAD's teacher.
        mean: Of RGB in 0–1, used if the recipe gives none; ImageNet's by default.
        std: Of RGB in 0–1, likewise.
        class_names: Of its classes, if they are known.

    Raises:
        UsageError: If it does not run, has another number of classes, or a module that is named is not there or not what it has to be.
    """

    def __init__(
        self,
        recipe: ModelRecipe,
        module: nn.Module,
        num_classes: int | None = None,
        in_channels: int = 3,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        class_names: Sequence[str] | None = None,
    ) -> None:
        if in_channels > 3:
            widen_input(module, in_channels)
        super().__init__(recipe, num_classes or 0, in_channels, mean=recipe.mean or mean, std=recipe.std or std)
        self.module = module
        self.class_names = tuple(class_names) if class_names is not None else None
        self._auxiliary = recipe.auxiliary
        for name in (recipe.features, recipe.classifier):
            if name is not None:
                _submodule(module, name, recipe.name)
        if recipe.classifier is not None:
            _require_pointwise(module.get_submodule(recipe.classifier), recipe)
        self.one_size = getattr(module, "size", None) if isinstance(module, FixedInput) else None
        self._pools = False
        self._plain: bool | None = None  # whether evaluation gives the logits alone; found at the first forward
        found = self._try()
        if num_classes is not None and found.logits.shape[1] != num_classes:
            raise UsageError(
                f"{self.name} gives {found.logits.shape[1]} classes but the data has {num_classes}; "
                "set options so that they agree, or map a teacher's with teacher.classes."
            )
        self.num_classes = found.logits.shape[1]
        self._features = 0 if found.features is None else found.features.shape[1]
        given: dict[Gift, bool] = {
            "features": found.features is not None,
            "classifier": recipe.classifier is not None,
            "auxiliary": found.aux_logits is not None,
        }
        self._gives = frozenset(key for key, there in given.items() if there)

    @property
    def gives(self) -> frozenset[Gift]:
        return self._gives if self._auxiliary else self._gives - {"auxiliary"}

    @property
    def classifier(self) -> nn.Conv2d | None:  # type: ignore[override]
        """The module that the recipe names, if it names one."""
        return self.module.get_submodule(self.recipe.classifier) if self.recipe.classifier else None  # type: ignore[return-value]

    @property
    def feature_channels(self) -> int:
        return self._features

    @property
    def grid(self) -> int:
        return GRID

    @property
    def pools_globally(self) -> bool:
        return self._pools

    @property
    def body(self) -> list[nn.Module]:
        return [self.module]

    @property
    def quantised(self) -> list[nn.Module]:
        return [self.module]

    def drop_auxiliary(self) -> None:
        self._auxiliary = False

    def deployable(self) -> nn.Module:
        return Shipped(deepcopy(self.module).eval(), self.recipe.logits, self.multiple)

    def forward(self, image: Tensor) -> SegOutput:
        seen: list[Tensor] = []
        with ExitStack() as stack:
            if self.recipe.classifier is not None:  # what enters it
                stack.enter_context(_hook(self.module, self.recipe.classifier, before=seen.append))
            elif self.recipe.features is not None:
                stack.enter_context(_hook(self.module, self.recipe.features, after=seen.append))
            output = self.module(pad_to(image, self.multiple))
        if self._plain is None:
            self._plain = isinstance(output, Tensor)
        if self._plain and isinstance(output, Sequence) and self.recipe.logits is None:
            raise UsageError(
                f"{self.name} gives its logits alone in evaluation and {len(output)} outputs in training; "
                "name the position of the logits with logits, e.g. student.logits=0."
            )
        size = (image.shape[-2], image.shape[-1])
        logits = _crop(pick(output, self.recipe.logits, self.name), size, self.multiple)
        if seen and not (isinstance(seen[-1], Tensor) and seen[-1].ndim == 4):
            raise UsageError(f"{self.name}: what {self.recipe.features!r} gives is no map B×A×H×W; name another module as features.")
        features = _crop(seen[-1], size, self.multiple) if seen else None
        aux = _auxiliary(output, self.recipe, self.module.training) if self._auxiliary else None
        return SegOutput(logits, features, None if aux is None else _crop(aux, size, self.multiple))

    def _try(self) -> SegOutput:
        """Run it on an empty image, and find which sizes it takes and whether it normalises a pooled map.

        Raises:
            UsageError: If it runs on none.
        """
        training = self.module.training
        self.module.eval()

        def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._pools |= inputs[0].shape[2:].numel() == 1

        norms = [part for part in self.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
        hooks = [norm.register_forward_pre_hook(look) for norm in norms]
        try:
            size, found = self._first_that_runs([(1, size) for size in SIZES])
            odd = [(multiple, (size[0] - 32 + multiple, size[1] - 32 + multiple)) for multiple in MULTIPLES]
            try:
                grown, _ = self._first_that_runs(odd)
                self.multiple = next(multiple for multiple, tried in odd if tried == grown)
            except UsageError:
                self.multiple = 32
        finally:
            self.module.train(training)
            for hook in hooks:
                hook.remove()
        return found

    @torch.no_grad()
    def _first_that_runs(self, sizes: Sequence[tuple[int, tuple[int, int]]]) -> tuple[tuple[int, int], SegOutput]:
        failure: Exception | None = None
        weight = next(self.module.parameters(), self.mean)  # a module from Python may lie on a GPU
        for _, size in sizes:
            try:
                return size, self(torch.zeros(1, self.in_channels, *size, device=weight.device))
            except UsageError:
                raise
            except Exception as error:  # whatever somebody else's module raises
                failure = error
        told = (str(failure).strip() or repr(failure)).splitlines()[0]
        raise UsageError(
            f"{self.name} does not run on an image of {self.in_channels}x{sizes[0][1][0]}x{sizes[0][1][1]}: {told}."
        ) from failure


class Shipped(nn.Module):
    """A foreign module as it ships: normalised image → logits.

    Args:
        module: In eval mode.
        logits: Where they are in its output.
        multiple: That the sides of its input have to be of.
    """

    def __init__(self, module: nn.Module, logits: str | None, multiple: int) -> None:
        super().__init__()
        self.module, self.logits, self.multiple = module, logits, multiple

    def forward(self, image: Tensor) -> Tensor:
        """B×3×H×W → B×C×h×w."""
        size = (image.shape[-2], image.shape[-1])
        return _crop(pick(self.module(pad_to(image, self.multiple)), self.logits, "network"), size, self.multiple)


def pad_to(image: Tensor, multiple: int) -> Tensor:
    """Padded at the right and the bottom with the mean colour, which is 0 after normalisation."""
    height, width = image.shape[-2:]
    if height % multiple or width % multiple:
        return F.pad(image, (0, -width % multiple, 0, -height % multiple))
    return image


def _crop(maps: Tensor, size: tuple[int, int], multiple: int) -> Tensor:
    """What lies over the image that was padded, of a map at any stride."""
    kept = []
    for length, mapped in zip(size, maps.shape[-2:], strict=True):
        padded = length + -length % multiple
        kept.append(mapped if padded == length else -(-mapped * length // padded))
    return maps[..., : kept[0], : kept[1]]


def pick(output: Any, key: str | None, name: str) -> Tensor:
    """The logits in what a network returns.

    Args:
        output: A tensor, a mapping, a sequence, or an object with attributes.
        key: Key, attribute or position; None = the tensor itself, a usual key, or the first item.
        name: Of the network, for the message.

    Raises:
        UsageError: If they are not there.
    """
    if isinstance(output, Tensor) and (key is None or key.isdecimal()):  # a position, where training gives several
        return output
    keys = [key] if key is not None else [*LOGITS, "0"]
    for candidate in keys:
        found = _item(output, candidate)
        if isinstance(found, Tensor) and found.ndim == 4:
            return found
    offered = ", ".join(map(str, output)) if isinstance(output, Mapping) else type(output).__name__
    raise UsageError(f"{name} returns no logits B×C×H×W under {' or '.join(map(str, keys))} ({offered}); name their key with logits.")


def _item(output: Any, key: str) -> Any:
    if isinstance(output, Mapping):
        return output.get(key)
    if isinstance(output, Sequence) and key.isdecimal():
        return output[int(key)] if int(key) < len(output) else None
    return getattr(output, key, None)


def _auxiliary(output: Any, recipe: ModelRecipe, training: bool) -> Tensor | None:
    """Logits of an auxiliary head: under the recipe's key, or torchvision's where there is one. Many networks have them in training only.

    Raises:
        UsageError: If there are none under the recipe's key, in training; or it is nearly another one's.
    """
    key = recipe.auxiliary_logits
    found = None if isinstance(output, Tensor) else _item(output, key or "aux")
    if isinstance(found, Tensor) and found.ndim == 4:
        return found
    meant = nearest(key, output) if key is not None and isinstance(output, Mapping) else ""
    if key is not None and (training or meant):
        raise UsageError(f"{recipe.name} returns no logits B×C×H×W under auxiliary_logits={key!r}{meant or '; leave it out.'}")
    return None


def _submodule(module: nn.Module, name: str, of: str) -> nn.Module:
    try:
        return module.get_submodule(name)
    except AttributeError as error:
        known = [each for each, _ in module.named_modules() if each]
        raise UsageError(f"{of} has no module {name!r}{nearest(name, known, 0.3) or '.'}") from error


def _require_pointwise(part: nn.Module, recipe: ModelRecipe) -> None:
    if not (isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) and part.groups == 1):
        raise UsageError(
            f"{recipe.name}: {recipe.classifier} is no 1x1 convolution; leave classifier out, and name what transfers read as features."
        )


@contextmanager
def _hook(
    module: nn.Module, name: str, *, before: Callable[[Tensor], None] | None = None, after: Callable[[Tensor], None] | None = None
) -> Iterator[None]:
    """See what enters or leaves a module, for one forward: nothing stays on it, so that copies of the network are plain."""
    part = module.get_submodule(name)
    if before is not None:
        handle = part.register_forward_pre_hook(lambda _, inputs: before(inputs[0]))
    else:
        handle = part.register_forward_hook(lambda _, inputs, output: after and after(output))
    try:
        yield
    finally:
        handle.remove()
