"""The form of a segmenter that ships."""

from copy import deepcopy

from timm.utils import reparameterize_model

from edgekd.models.segmenter import Segmenter


def deployable(model: Segmenter) -> Segmenter:
    """A copy in eval mode, without the training-only auxiliary head, its re-parameterised backbone (RepViT, MobileOne, …) fused.

    Logits and features are the same up to rounding; the model itself stays as it is.
    """
    copy = deepcopy(model).eval()
    copy.auxiliary = None
    reparameterize_model(copy.backbone, inplace=True)
    return copy
