"""What the mathematics says of every loss: gradients, zero at identity, inert ignored pixels, finite at the edges."""

import pytest
import torch
from torch.nn import functional as F

from edgekd.distill import functional as L

B, C, A, H, W = 2, 5, 4, 6, 7
G = torch.Generator().manual_seed(0)


def rand(*shape):
    return torch.randn(*shape, generator=G, dtype=torch.float64)


LABELS = torch.randint(0, C, (B, 2 * H, 2 * W), generator=G)
LABELS[:, :3] = 255
WEIGHT, VARIANCE = rand(C, A), rand(C, A).square()
FULL = torch.einsum("cab,cdb->cad", M := rand(C, A, A), M)
LOGITS = {
    "pd": lambda s, t, y: L.pixel_kd(s, t, 2.0),
    "cwd": lambda s, t, y: L.channel_kd(s, t),
    "dist": lambda s, t, y: L.correlation_kd(s, t, 2.0, 1.0, 1.5),
    "bpkd": lambda s, t, y: L.boundary_kd(s, t, y, 3.0, 2.0, 1, 1.5),
    "csd": lambda s, t, y: L.double_similarity([s, s, s], [t, t, t])[1],
    "dice": lambda s, t, y: L.dice_loss(s, y),
    "tse": lambda s, t, y: L.relative_difficulty_loss(s, t, y, "or"),
    "fakd-pd": lambda s, t, y: L.augmented_pixel_kd(s, t, y, WEIGHT.to(s), VARIANCE.to(s), 0.7),
    "fakd-pd-full": lambda s, t, y: L.augmented_pixel_kd(s, t, y, WEIGHT.to(s), FULL.to(s), 0.7),
    "fakd-cwd": lambda s, t, y: L.augmented_channel_kd(s, t, y, WEIGHT.to(s), VARIANCE.to(s), 0.7, 2.0),
    "fakd-cwd-full": lambda s, t, y: L.augmented_channel_kd(s, t, y, WEIGHT.to(s), FULL.to(s), 0.7, 2.0),
}
FEATURES = {
    "at": lambda s, t, y: L.attention_transfer(s, t),
    "skds": lambda s, t, y: L.pairwise_similarity(s, t),
    "ifvd": lambda s, t, y: L.intra_class_variation(s, t, y, C),
    "cirkd": lambda s, t, y: L.cross_image_similarity(s, t),
    "afdcd": lambda s, t, y: L.dense_contrast(s, t, 2, 3),
    "hint": lambda s, t, y: L.hint(s, t, torch.eye(s.shape[1], dtype=s.dtype)[:, :, None, None]),
}
ZERO_AT_IDENTITY = ["pd", "cwd", "dist", "bpkd", "csd", "at", "skds", "ifvd", "cirkd", "hint"]
ALL = LOGITS | FEATURES


@pytest.mark.parametrize("name", ALL)
def test_gradient_is_that_of_finite_differences(name):
    s, t = rand(B, C, H, W).requires_grad_(), rand(B, C, H, W)
    assert torch.autograd.gradcheck(lambda s: ALL[name](s, t, LABELS), (s,), atol=1e-6)


@pytest.mark.parametrize("form", ["fakd-pd", "fakd-cwd"])
def test_gradient_reaches_the_classifier_too(form):
    s, t, weight = rand(B, C, H, W), rand(B, C, H, W), rand(C, A).requires_grad_()
    loss = {"fakd-pd": L.augmented_pixel_kd, "fakd-cwd": L.augmented_channel_kd}[form]
    assert torch.autograd.gradcheck(lambda w: loss(s, t, LABELS, w, VARIANCE, 0.7), (weight,), atol=1e-6)


@pytest.mark.parametrize("name", ZERO_AT_IDENTITY)
def test_is_zero_at_identity_and_not_elsewhere(name):
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    assert abs(float(ALL[name](s, s, LABELS))) < 1e-12
    assert float(ALL[name](s, t, LABELS)) > 1e-9


@pytest.mark.parametrize("form", ["fakd-pd", "fakd-cwd"])
def test_fakd_without_strength_is_the_cross_entropy_form(form):
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    if form == "fakd-pd":
        value = L.augmented_pixel_kd(s, t, LABELS, WEIGHT, VARIANCE, 0.0)
        expected = -(t.softmax(1) * s.log_softmax(1)).sum(1).mean()
    else:
        value = L.augmented_channel_kd(s, t, LABELS, WEIGHT, VARIANCE, 0.0, 2.0)
        p, log_q = (t.flatten(2) / 2).softmax(2), (s.flatten(2) / 2).log_softmax(2)
        expected = -4 * (p * log_q).sum(2).mean()
    torch.testing.assert_close(value, expected)


def test_ignored_pixels_join_no_class_and_get_no_correction():
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    nowhere = torch.full_like(LABELS, 255)
    for loss in (L.augmented_pixel_kd, L.augmented_channel_kd):
        torch.testing.assert_close(loss(s, t, nowhere, WEIGHT, VARIANCE, 0.7), loss(s, t, LABELS, WEIGHT, VARIANCE, 0.0))
    statistics = L.ClassStatistics(C, A)
    statistics.update(rand(10, A), torch.full((10,), 255))
    assert statistics.count.sum() == 0 and statistics.variance.abs().sum() == 0


def test_ignored_pixels_are_inert_in_the_task_weighting():
    s, t = rand(B, C, 2 * H, 2 * W), rand(B, C, 2 * H, 2 * W)
    other = torch.where((LABELS == 255)[:, None], rand(B, C, 2 * H, 2 * W) * 100, s)
    for mode in ("xor", "or", "and", "ohem"):
        torch.testing.assert_close(L.relative_difficulty_loss(s, t, LABELS, mode), L.relative_difficulty_loss(other, t, LABELS, mode))
    torch.testing.assert_close(L.dice_loss(s, LABELS), L.dice_loss(other, LABELS))


def test_dice_is_the_overlap_image_by_image_and_class_by_class():
    s = rand(B, C, H, W)
    labels = LABELS.clone()
    labels[1] = 255
    p = F.interpolate(s, labels.shape[-2:], mode="bilinear", align_corners=True).softmax(1)
    losses = []
    for b in range(B):
        for c in labels[b][labels[b] < C].unique().tolist():
            own = p[b, c][labels[b] < C]
            is_c = (labels[b] == c)[labels[b] < C].double()
            losses.append(1 - (2 * (own * is_c).sum() + 1) / (own.sum() + is_c.sum() + 1))
    torch.testing.assert_close(L.dice_loss(s, labels), torch.stack(losses).mean())
    right = 100.0 * F.one_hot(LABELS.clamp_max(C - 1), C).permute(0, 3, 1, 2).double()
    assert float(L.dice_loss(right, LABELS)) < 1e-12 and float(L.dice_loss(-right, LABELS)) > 0.9


@pytest.mark.parametrize("labels", [torch.full_like(LABELS, 255), torch.zeros_like(LABELS)], ids=["all ignored", "one class"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ALL)
def test_is_finite_at_the_edges(name, dtype, labels):
    s = rand(B, C, H, W).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = ALL[name](s, rand(B, C, H, W).to(dtype), labels)
    loss.backward()
    assert loss.dtype == torch.float32 and bool(loss.isfinite()) and bool(s.grad.isfinite().all())


@pytest.mark.parametrize("name", LOGITS)
def test_is_finite_with_huge_logits(name):
    s = (1e4 * rand(B, C, H, W).sign()).float().requires_grad_()
    loss = LOGITS[name](s, (1e4 * rand(B, C, H, W).sign()).float(), LABELS)
    loss.backward()
    assert bool(loss.isfinite()) and bool(s.grad.isfinite().all())


def test_fakd_pd_stays_exact_where_the_shifts_fail():
    """λQ/2 of 2000 with logits pulling the other way: the product of exponentials underflows, the direct entry does not."""
    s = 300 * rand(1, C, H, W)
    weight = 30 * WEIGHT
    value = L.augmented_pixel_kd(s.float(), s.float(), LABELS[:1], weight.float(), VARIANCE.float(), 1.0)
    torch.testing.assert_close(value.double(), direct_pd(s, s, LABELS[:1], weight, VARIANCE, 1.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_of_any_integer_type_give_the_same(dtype):
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    for name in ("dice", "bpkd", "tse", "ifvd", "fakd-pd", "fakd-cwd"):
        torch.testing.assert_close(ALL[name](s, t, LABELS.to(dtype)), ALL[name](s, t, LABELS))
    at_size = LABELS[:, ::2, ::2]
    torch.testing.assert_close(ALL["fakd-cwd"](s, t, at_size.to(dtype)), ALL["fakd-cwd"](s, t, at_size))
    noise = [rand(B, C + 1), rand(B, 1, *LABELS.shape[-2:])]
    torch.testing.assert_close(L.noise_label(LABELS.to(dtype), *noise), L.noise_label(LABELS, *noise))
    assert torch.equal(L.hard_pixels(s, LABELS.to(dtype)), L.hard_pixels(s, LABELS))
    first, second = L.ClassStatistics(C, A), L.ClassStatistics(C, A)
    features = rand(10, A)
    first.update(features, LABELS.flatten()[-10:].to(dtype))
    second.update(features, LABELS.flatten()[-10:])
    assert torch.equal(first.mean, second.mean)


def test_labels_that_are_no_class_are_ignored():
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    strange = torch.where(LABELS == 255, C, LABELS)
    for name in ("dice", "bpkd", "tse", "ifvd", "fakd-pd", "fakd-cwd"):
        torch.testing.assert_close(ALL[name](s, t, strange), ALL[name](s, t, LABELS))


def test_mixed_precisions_are_promoted():
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    mixed = L.augmented_pixel_kd(s.float(), t, LABELS, WEIGHT.float(), VARIANCE, 0.7)
    torch.testing.assert_close(mixed, L.augmented_pixel_kd(s, t, LABELS, WEIGHT, VARIANCE, 0.7), rtol=1e-5, atol=1e-6)


def test_dsd_takes_stages_of_other_sizes():
    s, t, aux = rand(B, C, H, W), rand(B, C, H, W), rand(B, C, 3, 4)
    resized = F.interpolate(aux, (H, W), mode="bilinear", align_corners=True)
    torch.testing.assert_close(L.double_similarity([aux, s, s], [aux, t, t]), L.double_similarity([resized, s, s], [resized, t, t]))


def direct_pd(z, t, labels, weight, variance, strength):
    """METHODS' formula, pixel by pixel."""
    y = F.interpolate(labels[:, None].double(), z.shape[-2:], mode="nearest")[:, 0].long()
    z, p, y = z.permute(0, 2, 3, 1).reshape(-1, C), t.softmax(1).permute(0, 2, 3, 1).reshape(-1, C), y.flatten()
    total = 0.0
    for i in range(len(z)):
        v = variance[y[i]] if y[i] < C else torch.zeros(A, dtype=z.dtype)
        q = ((weight[None] - weight[:, None]) ** 2 * v).sum(2)
        total += (p[i] * (z[i][None] - z[i][:, None] + strength / 2 * q).logsumexp(1)).sum()
    return total / len(z)


def test_fakd_pd_matches_the_formula_pixel_by_pixel():
    s, t = rand(B, C, H, W), rand(B, C, H, W)
    torch.testing.assert_close(L.augmented_pixel_kd(s, t, LABELS, WEIGHT, VARIANCE, 0.7), direct_pd(s, t, LABELS, WEIGHT, VARIANCE, 0.7))


@pytest.mark.parametrize("form", ["pd", "cwd"])
def test_fakd_is_an_upper_bound_of_the_sampled_loss(form):
    """A Monte-Carlo estimate over augmented features must not exceed the closed form, and must approach it for small variance."""
    features, t = rand(1, A, H, W), rand(1, C, H, W)
    labels = torch.randint(0, C, (1, H, W), generator=G)
    strength = 0.5
    clean = torch.einsum("ca,bahw->bchw", WEIGHT, features)
    noise = rand(4000, A, H, W) * (strength * VARIANCE[labels[0]]).sqrt().permute(2, 0, 1)
    sampled = torch.einsum("ca,bahw->bchw", WEIGHT, features + noise)
    if form == "pd":
        losses = -(t.softmax(1) * sampled.log_softmax(1)).sum(1).mean((1, 2))
        bound = L.augmented_pixel_kd(clean, t, labels, WEIGHT, VARIANCE, strength)
    else:
        losses = -(t.flatten(2).softmax(2) * sampled.flatten(2).log_softmax(2)).sum(2).mean(1)
        bound = L.augmented_channel_kd(clean, t, labels, WEIGHT, VARIANCE, strength)
    standard_error = losses.std() / len(losses) ** 0.5
    assert losses.mean() <= bound + 3 * standard_error
    assert losses.mean() >= 0.2 * bound


def test_relative_difficulty_of_an_empty_choice_is_zero_with_a_gradient():
    s = rand(B, C, H, W).requires_grad_()
    loss = L.relative_difficulty_loss(s, s.detach(), LABELS, "xor", 0.7)
    loss.backward()
    assert float(loss) == 0 and float(s.grad.abs().sum()) == 0


def test_more_kept_pixels_than_there_are_means_all_of_them():
    s = rand(B, C, 2 * H, 2 * W)
    assert torch.equal(L.hard_pixels(s, LABELS, 0.0, 10**9), LABELS != 255)


@pytest.mark.parametrize("kept", [1, 7, 50])
def test_hard_pixels_are_those_of_a_full_sort(kept):
    s = rand(B, C, 2 * H, 2 * W)
    valid = LABELS != 255
    p = s.softmax(1).gather(1, LABELS.clamp_max(C - 1)[:, None])[:, 0]
    threshold = max(0.001, float(p[valid].sort().values[kept - 1]))
    assert torch.equal(L.hard_pixels(s, LABELS, 0.001, kept), valid & (p <= threshold))


def test_agreeing_heads_have_an_agreement_of_one():
    t = rand(B, C, H, W)
    torch.testing.assert_close(L.teacher_agreement(t, t, (12, 14)), torch.ones(B, 12, 14, dtype=t.dtype))


def test_label_noise_is_the_relabelling_class_by_class():
    weights, noise = rand(B, C + 1), rand(B, 1, *LABELS.shape[-2:])
    expected = torch.zeros(B, *LABELS.shape[-2:], dtype=torch.float64)
    for b in range(B):
        for k in range(C + 1):
            expected[b][LABELS[b] == (k if k < C else 255)] = weights[b, k]
    torch.testing.assert_close(L.noise_label(LABELS, weights, noise, 3.0, 0.1), 3.0 * (expected[:, None] + 0.1 * noise))


@pytest.mark.parametrize("full", [False, True])
def test_class_statistics_are_those_of_all_the_data_at_once(full):
    features, labels = rand(300, A) * 3 + 5, torch.randint(0, C, (300,), generator=G)
    labels[::7] = 255
    statistics = L.ClassStatistics(C, A, full=full)
    for part in torch.arange(300).split(50):
        statistics.update(features[part].float(), labels[part])
    for k in range(C):
        own = features[labels == k]
        torch.testing.assert_close(statistics.mean[k].double(), own.mean(0), rtol=1e-5, atol=1e-5)
        expected = torch.cov(own.T, correction=0) if full else own.var(0, correction=0)
        torch.testing.assert_close(statistics.variance[k].double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_cross_image_is_the_loop_over_pairs(temperature):
    s, t = rand(3, A, H, W), rand(3, A + 1, H, W)
    total = 0.0
    unit_s, unit_t = (F.normalize(f, dim=1).flatten(2) for f in (s, t))
    for i in range(3):
        for j in range(3):
            log_s = (unit_s[i].T @ unit_s[j] / temperature).log_softmax(1)
            total += F.kl_div(log_s, (unit_t[i].T @ unit_t[j] / temperature).softmax(1), reduction="batchmean") / 9
    torch.testing.assert_close(L.cross_image_similarity(s, t, temperature), total)
    narrow = L.cross_image_similarity(s.float(), t.float(), temperature)
    torch.testing.assert_close(narrow.double(), total, rtol=1e-3, atol=1e-5)
