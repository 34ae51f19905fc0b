"""The teacher during distillation: frozen, in eval mode, with its own normalisation, outside everything that is trained or saved."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.cache import OutputCache
from edgekd.distill.class_map import ClassMap
from edgekd.distill.lad import LabelNoiser, with_label
from edgekd.distill.processes import sample_seed
from edgekd.distill.resize import upsample
from edgekd.distill.windows import look_through
from edgekd.models import Network, SegOutput


class Teacher:
    """A trained network as the source of knowledge. Not a module, so no optimiser, checkpoint or DDP ever sees it.

    Args:
        model: The network; 4 input channels make it label-assisted.
        noiser: Gives the fourth channel of a label-assisted teacher.
        needs_auxiliary: Whether any loss reads its auxiliary logits; the head is dropped if none does.
        classes: Which of its classes stand for the student's; None = they are the same.
        scale: Factor by which images are resized for it.
        window: It looks through windows of this (H, W); None = at the whole crop.

    Attributes:
        cache: Where outputs are kept; None = they are computed each time.
    """

    def __init__(
        self,
        model: Network,
        noiser: LabelNoiser | None = None,
        *,
        needs_auxiliary: bool = True,
        classes: ClassMap | None = None,
        scale: float = 1.0,
        window: tuple[int, int] | None = None,
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self.noiser, self.classes, self.scale, self.window = noiser, classes, scale, window
        self.dtype = torch.float32
        self.cache: OutputCache | None = None
        if not needs_auxiliary:
            self.model.drop_auxiliary()

    def to(self, device: torch.device, memory_format: torch.memory_format) -> None:
        """Move the weights."""
        self.model = self.model.to(device=device).to(memory_format=memory_format)

    def to_bf16(self) -> None:
        """Keep the weights in bf16, as autocast would cast them at every step; images are normalised in float32 as before."""
        mean, std = self.model.mean, self.model.std
        self.model.to(torch.bfloat16)
        self.model.mean, self.model.std, self.dtype = mean, std, torch.bfloat16

    @torch.no_grad()
    def __call__(self, image: Tensor, labels: Tensor) -> SegOutput:
        """RGB uint8 B×3×H×W and labels B×H×W → outputs at the teacher's stride, in the student's classes that it has."""
        if self.cache is not None:
            about = self.scale, self.window, self.classes, self.dtype
            return self.cache(image, self.model, about, lambda one: self._look(one, labels))
        return self._look(image, labels)

    def _look(self, image: Tensor, labels: Tensor) -> SegOutput:
        normal = self.model.normalize(image)
        if self.noiser is not None:
            normal = with_label(normal, self.noiser(labels, sample_seed(len(labels))))
        if self.scale != 1:
            normal = F.interpolate(normal, scale_factor=self.scale, mode="bilinear", align_corners=False, antialias=self.scale < 1)
        normal = normal.to(self.dtype)
        output = look_through(self.model, normal, self.window) if self.window else self.model(normal)
        return output if self.classes is None else self.classes.teacher(output)


def at_student_size(teacher: SegOutput, student: SegOutput) -> SegOutput:
    """The teacher's logits and features resized to the student's, which may have one stride each."""
    features = teacher.features
    if features is not None:
        like = student.logits if student.features is None else student.features
        features = upsample(features, (like.shape[-2], like.shape[-1]))
    return SegOutput(upsample(teacher.logits, (student.logits.shape[-2], student.logits.shape[-1])), features, teacher.aux_logits)
