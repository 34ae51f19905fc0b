"""Every loss against the reference values (the papers' public code, or float64 direct evaluation for FAKD)."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd.config import TaskRecipe
from edgekd.distill import functional as L
from edgekd.distill.rdd import MODES
from edgekd.distill.task import TASKS
from edgekd.models import SegOutput

G = {key: torch.from_numpy(np.asarray(value)) for key, value in np.load(Path(__file__).parents[1] / "golden/losses.npz").items()}
zs, zt, fs, ft, labels = G["zs"], G["zt"], G["fs"], G["ft"], G["labels"]
W, V, STRENGTH = G["fakd_weight"], G["fakd_variance"], float(G["fakd_lambda"])


def fakd_logits():
    return F.conv2d(fs.double(), W[:, :, None, None], G["fakd_bias"])


def task(progress, min_kept=0, **options):
    """What a run minimises: RDD's task loss, of both heads in TFE and, as the reference has it, of the main head in TSE."""
    recipe = TaskRecipe(weighting="difficulty", min_kept=min_kept // len(labels), **options)
    loss = TASKS["difficulty"](recipe, zs.shape[1])
    return sum(loss(SegOutput(zs, fs, None if progress else G["zs_aux"]), SegOutput(zt, ft, G["zt_aux"]), labels, progress).values())


CASES = {
    "kd_T1": lambda: L.pixel_kd(zs, zt),
    "kd_T4": lambda: L.pixel_kd(zs, zt, 4.0),
    "cwd_T1": lambda: L.channel_kd(zs, zt, 1.0),
    "cwd_T4": lambda: L.channel_kd(zs, zt),
    "cwd_feature_T4": lambda: L.channel_kd(F.conv2d(fs, G["conv_w"]), ft) * ft.shape[1] / fs.shape[1],
    "at": lambda: L.attention_transfer(fs, ft),
    "fitnet": lambda: L.hint(fs, ft, G["conv_w"]),
    "ifvd": lambda: L.intra_class_variation(fs, ft, labels, 7),
    "skd_pairwise": lambda: L.pairwise_similarity(fs, ft),
    "dsd_psd": lambda: L.double_similarity([G["zs_aux"], fs, zs], [G["zt_aux"], ft, zt])[0],
    "dsd_csd": lambda: L.double_similarity([G["zs_aux"], fs, zs], [G["zt_aux"], ft, zt])[1],
    "cirkd_minibatch_T0.1": lambda: L.cross_image_similarity(fs, ft),
    "rdd_tfe_map": lambda: L.teacher_agreement(zt, G["zt_aux"], labels.shape[-2:]),
    "rdd_tfe_loss": lambda: task(0.0),
    "lad_noised_label_g100_s003": lambda: L.noise_label(labels, G["lad_class_weights"], G["lad_pixel_noise"], 100.0, 0.03),
    "lad_consistency_5x": lambda: 5 * (L.channel_kd(zs, zt.detach()) + L.channel_kd(zt, zs.detach())),
    "fakd_pd": lambda: L.augmented_pixel_kd(fakd_logits(), zt.double(), labels, W, V, STRENGTH),
    "fakd_cwd_tau1": lambda: L.augmented_channel_kd(fakd_logits(), zt.double(), labels, W, V, STRENGTH),
    "fakd_cwd_tau4": lambda: L.augmented_channel_kd(fakd_logits(), zt.double(), labels, W, V, STRENGTH, 4.0),
    **{f"rdd_tse_{mode}_kept{kept}": partial(task, 0.5, mode=mode, min_kept=kept) for mode in MODES for kept in (0, 1500)},
    **{f"rdd_tse_{mode}_kept4000": partial(L.relative_difficulty_loss, zs, zt, labels, mode, 0.7, 4000) for mode in MODES},
}


@pytest.mark.parametrize("key", CASES)
def test_matches_the_reference(key):
    torch.testing.assert_close(CASES[key]().double(), G[key].double(), rtol=1e-4, atol=1e-9)


def test_class_statistics_after_three_updates():
    statistics = L.ClassStatistics(*G["stats_mean"].shape)
    for features, classes in zip(G["stats_features"], G["stats_labels"], strict=True):
        statistics.update(features, classes)
    torch.testing.assert_close(statistics.count, G["stats_count"], rtol=0, atol=0)
    torch.testing.assert_close(statistics.mean.double(), G["stats_mean"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(statistics.variance.double(), G["stats_variance"], rtol=1e-4, atol=1e-6)


def test_every_reference_value_is_used():
    inputs = {"zs", "zs_aux", "zt", "zt_aux", "fs", "ft", "ft_same", "labels", "conv_w", "lad_class_weights", "lad_pixel_noise"}
    rest = {key for key in G if key not in CASES and key not in inputs and not key.startswith("stats_")}
    assert rest == {"fakd_weight", "fakd_bias", "fakd_variance", "fakd_lambda"}
