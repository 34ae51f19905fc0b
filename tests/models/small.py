"""Transformers of timm with few, narrow blocks, under names of their own: the code paths of the real ones in a tenth of their time."""

from typing import Any

from timm.models import register_model
from timm.models.eva import vit_small_patch16_dinov3
from timm.models.swin_transformer import swin_tiny_patch4_window7_224
from timm.models.vision_transformer import vit_small_patch14_dinov2
from torch import nn


def small_dinov2(pretrained: bool = False, **options: Any) -> nn.Module:
    """One map of 14-pixel patches, learnt position embedding."""
    return vit_small_patch14_dinov2(pretrained, img_size=56, embed_dim=48, depth=3, num_heads=3, **options)


def small_dinov3(pretrained: bool = False, **options: Any) -> nn.Module:
    """One map of 16-pixel patches, rotary position embedding, register tokens."""
    return vit_small_patch16_dinov3(pretrained, embed_dim=48, depth=3, num_heads=3, **options)


def small_swin(pretrained: bool = False, **options: Any) -> nn.Module:
    """Channels-last levels, shifted windows."""
    return swin_tiny_patch4_window7_224(pretrained, embed_dim=24, depths=(2, 1, 1, 1), num_heads=(1, 2, 3, 4), **options)


for entry in (small_dinov2, small_dinov3, small_swin):
    register_model(entry)
