"""What may be trained: candidates as data, how one is named on the command line, and what each has room for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.config import SMALLEST, ModelRecipe
from edgekd.loading import validate
from edgekd.models import build_network
from edgekd.models.cost import deployed_size, model_cost
from edgekd.models.published import PUBLISHED, Published
from edgekd.models.sources import source_of
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.sizes import parse_size

DEFAULT = (
    "lraspp-mobilenetv4_conv_small_050,output_stride=32",
    "lraspp-mobilenetv3_small_100,output_stride=32",
    "fast-scnn",
    "lraspp-mobilenetv4_conv_small,output_stride=32",
    "lraspp-mobilenetv3_large_100,output_stride=32",
    "fpn-tf_efficientnet_lite0,output_stride=32,head_channels=64",
    "lraspp-tf_efficientnet_lite0,output_stride=32",
    "pp-liteseg-t",
    "bisenetv2",
    "ddrnet-23-slim",
    "pidnet-s",
    "ffnet-40s",
)
"""What is tried where nothing is named, light ones first; undilated, since dilated depth-wise convolutions are slow on CPUs."""
_KEYS = ("output_stride", "head_channels", "imgsz")


@dataclass(frozen=True)
class Capacity:
    """What a network has room for, in place of the accuracy that only training would tell.

    Attributes:
        parameters_m: Millions, deployed.
        gmacs: 10⁹ multiply-adds an image.
        published: What was published of it; None if that is not known here, or it is of another width.
    """

    parameters_m: float
    gmacs: float
    published: Published | None

    @property
    def rank(self) -> tuple[bool, float]:
        """What more is better of: published accuracy, and where none is known multiply-adds, behind all that have one."""
        return (True, self.published.miou) if self.published else (False, self.gmacs)


@dataclass(frozen=True)
class Candidate:
    """A student at an input size (H, W)."""

    model: ModelRecipe
    size: tuple[int, int]

    @property
    def key(self) -> str:
        """What tells it from any other, as text."""
        return f"{self.model.model_dump_json()} {self.size[0]}x{self.size[1]}"

    def capacity(self, num_classes: int) -> Capacity:
        """Counted, and what is published.

        Raises:
            UsageError: If there is no such network, it can't be trained, or not at that stride.
        """
        name = self.model.name
        source = source_of(name)
        if source is None:
            cost = model_cost(self.model, num_classes, self.size)
            return Capacity(cost.parameters_m, cost.gflops / 2, cost.published if self.model.head_channels is None else None)
        if not source.trainable:
            raise UsageError(f"{name} is a compiled file, which can teach but not be trained; leave it out of the candidates.")
        parameters_m, gflops = deployed_size(build_network(self.model, num_classes, pretrained=False).deployable(), self.size)
        return Capacity(parameters_m, gflops / 2, PUBLISHED.get(name))


def candidates(texts: Sequence[str], sizes: Sequence[tuple[int, int]], own: ModelRecipe | None = None) -> list[Candidate]:
    """Every student that is named, at every size, or at its own; each once.

    Args:
        texts: ``NAME[,KEY=VALUE]…``; `DEFAULT` and `own` where there are none.
        sizes: Network inputs (H, W).
        own: The student of the recipe.

    Raises:
        UsageError: If one is not written so, or a size is too small.
    """
    named: list[tuple[ModelRecipe, tuple[int, int] | None]] = [(own, None)] if own is not None and not texts else []
    named += [_parsed(text) for text in texts or DEFAULT]
    found = [Candidate(model, size) for model, its_own in named for size in ([its_own] if its_own else sizes)]
    for one in found:
        if min(one.size) < SMALLEST:
            raise UsageError(f"{one.size[0]}x{one.size[1]} is too small for {one.model.name}: a side has {SMALLEST} pixels or more.")
    return list({_essence(one): one for one in reversed(found)}.values())[::-1]


def _essence(one: Candidate) -> tuple[object, ...]:
    """Two candidates that agree in this are the same network where it is deployed."""
    model = one.model
    return model.name, model.output_stride, model.head_channels, one.size


def _parsed(text: str) -> tuple[ModelRecipe, tuple[int, int] | None]:
    name, *options = text.split(",")
    document: dict[str, object] = {"name": name}
    size = None
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or key not in _KEYS:
            raise UsageError(f"--candidate {text}: {option!r} is none of {', '.join(f'{key}=…' for key in _KEYS)}{nearest(key, _KEYS)}")
        if key == "imgsz":
            size = parse_size(value)
        else:
            document[key] = int(value) if value.isdecimal() else value
    return validate(ModelRecipe, document, f"--candidate {text}"), size


def labels(found: Sequence[Candidate]) -> list[str]:
    """A name for each that no other has: what it is called, and what it differs in from those that are called so too."""
    result = [one.model.name for one in found]
    details = (
        lambda one: f"os{one.model.output_stride or '-'}",
        lambda one: f"w{one.model.head_channels or '-'}",
        lambda one: f"{one.size[0]}x{one.size[1]}",
    )
    for detail in details:
        namesakes = Counter(one.model.name for one in found)
        for name in [name for name, count in namesakes.items() if count > 1]:
            members = [index for index, one in enumerate(found) if one.model.name == name]
            if len({detail(found[index]) for index in members}) > 1:
                for index in members:
                    result[index] += f" {detail(found[index])}"
    return result
