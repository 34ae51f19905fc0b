"""Every loss as a pure function over tensors: float32 inside, safe under autocast, a scalar out unless said.

Logits are B×C×h×w, features B×A×h×w, labels B×H×W with 255 = ignore.
"""

from edgekd.distill.afdcd import dense_contrast
from edgekd.distill.at import attention_transfer
from edgekd.distill.bpkd import boundary_kd
from edgekd.distill.cirkd import cross_image_similarity, memory_similarity
from edgekd.distill.cwd import channel_kd
from edgekd.distill.dice import dice_loss
from edgekd.distill.dist import correlation_kd
from edgekd.distill.dsd import double_similarity
from edgekd.distill.fakd import augmented_channel_kd, augmented_pixel_kd
from edgekd.distill.fitnet import hint
from edgekd.distill.ifvd import intra_class_variation
from edgekd.distill.kd import pixel_kd
from edgekd.distill.lad import noise_label
from edgekd.distill.rdd import agreement_loss, hard_pixels, relative_difficulty_loss, teacher_agreement
from edgekd.distill.skds import pairwise_similarity
from edgekd.distill.statistics import ClassStatistics

__all__ = [
    "ClassStatistics",
    "agreement_loss",
    "attention_transfer",
    "augmented_channel_kd",
    "augmented_pixel_kd",
    "boundary_kd",
    "channel_kd",
    "correlation_kd",
    "cross_image_similarity",
    "dense_contrast",
    "dice_loss",
    "double_similarity",
    "hard_pixels",
    "hint",
    "intra_class_variation",
    "memory_similarity",
    "noise_label",
    "pairwise_similarity",
    "pixel_kd",
    "relative_difficulty_loss",
    "teacher_agreement",
]
