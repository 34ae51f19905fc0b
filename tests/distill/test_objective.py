"""Objectives: what is trained, what is asked for before training, and how the parts compose."""

import pytest
import torch
from torch.nn import functional as F

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.adversarial import discriminator
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.methods import METHODS
from edgekd.distill.objective import Distillation, LabelAssisted, Supervised
from edgekd.distill.registry import TRANSFERS, build_transfer, transfer_class, transfer_names
from edgekd.distill.resize import upsample
from edgekd.distill.task import TASKS
from edgekd.distill.teacher import Teacher
from edgekd.distill.transfer import Widths
from edgekd.models import Segmenter
from edgekd.models.backbone import scale_extra_inputs
from edgekd_runtime.errors import UsageError

C = 5


def student(**options):
    return Segmenter("lraspp-mobilenetv3_small_050", C, output_stride=32, head_channels=16, dropout=0.0, **options)


def teacher(**options):
    return Segmenter("fcn-resnet10t", C, output_stride=16, head_channels=24, **options)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 64, 96), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, C, (2, 4, 6), generator=generator).repeat_interleave(16, 1).repeat_interleave(16, 2)
    labels[:, :5] = 255
    return image, labels


@pytest.mark.parametrize(("weighting", "label_assisted"), [("plain", False), ("difficulty", True)])
@pytest.mark.parametrize("method", TRANSFERS)
def test_every_transfer_trains_all_but_the_teacher(method, weighting, label_assisted, batch):
    """Widths, strides and heads of the two models differ; also with RDD's weighting under LAD's teacher."""
    source = teacher(in_channels=4) if label_assisted else teacher()
    options = {"width": 8} if method == "adversarial" else {}
    frozen = Teacher(source, LabelNoiser(C) if label_assisted else None)
    objective = Distillation(student(), frozen, TaskRecipe(weighting=weighting), [TransferRecipe(method=method, **options)])
    objective.train()
    for progress in (0.0, 0.5) if weighting == "difficulty" else (0.5,):
        parts = objective(*batch, progress)
        assert set(parts) == {"task", "auxiliary", method}
        sum(parts.values()).backward()
    assert all(parameter.grad is None for parameter in source.parameters()) and not source.training
    assert not any(key.startswith("_teacher") or "resnet" in key for key in objective.state_dict())
    missing = [name for name, parameter in objective.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert missing == []
    exported = set(objective.student.state_dict())
    assert not any("transfers" in key for key in exported)


@pytest.mark.parametrize("method", METHODS)
def test_every_shorthand_names_known_transfers(method):
    assert all(transfer["method"] in TRANSFERS for transfer in METHODS[method]["transfer"])


def test_every_transfer_is_a_method_with_its_companions():
    for name, kind in TRANSFERS.items():
        assert [transfer["method"] for transfer in METHODS[name]["transfer"]] == [name, *kind.companions]


def test_plain_task_is_torchs_cross_entropy(batch):
    model = student().eval()
    weights = [0.5, 1.0, 2.0, 1.5, 0.7]
    for recipe, weight in ((TaskRecipe(), None), (TaskRecipe(class_weights=weights), torch.tensor(weights))):
        parts = Supervised(model, recipe).eval()(*batch, 0.0)
        output = model(model.normalize(batch[0]))
        for name, logits, factor in (("task", output.logits, 1.0), ("auxiliary", output.aux_logits, 0.4)):
            full = F.interpolate(logits, batch[1].shape[-2:], mode="bilinear", align_corners=True)
            torch.testing.assert_close(parts[name], factor * F.cross_entropy(full, batch[1], weight, ignore_index=255))


@pytest.mark.parametrize(("threshold", "kept"), [(0.2, 0), (0.1, 2000)])
def test_ohem_is_torchs_cross_entropy_over_the_hard_pixels(batch, threshold, kept):
    model, labels = student().eval(), batch[1]
    weights = torch.tensor([0.5, 1.0, 2.0, 1.5, 0.7])
    recipe = TaskRecipe(weighting="ohem", threshold=threshold, min_kept=kept, class_weights=weights.tolist())
    parts = Supervised(model, recipe).eval()(*batch, 0.0)
    output = model(model.normalize(batch[0]))
    for name, logits, factor in (("task", output.logits, 1.0), ("auxiliary", output.aux_logits, 0.4)):
        full = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True)
        p = full.softmax(1).gather(1, labels.clamp_max(C - 1)[:, None])[:, 0]
        limit = max(threshold, float(p.detach()[labels != 255].sort().values[kept * len(labels) - 1])) if kept else threshold
        hard = (labels != 255) & (p <= limit)
        assert 0 < int(hard.sum()) < int((labels != 255).sum())
        expected = factor * F.cross_entropy(full, labels.masked_fill(~hard, 255), weights, ignore_index=255)
        torch.testing.assert_close(parts[name], expected)


def test_dice_stands_beside_every_weighting(batch):
    for weighting in TASKS:
        objective = Distillation(student(), Teacher(teacher()), TaskRecipe(weighting=weighting, dice=0.5), [])
        parts = objective.train()(*batch, 0.5)
        assert set(parts) == {"task", "auxiliary", "dice"} and 0 < float(parts["dice"].detach()) < 0.5


def test_nothing_labelled_costs_nothing(batch):
    for weighting in ("plain", "ohem"):
        parts = Supervised(student(), TaskRecipe(weighting=weighting, dice=1.0))(batch[0], torch.full_like(batch[1], 255), 0.0)
        assert float(parts["task"].detach()) == 0 == float(parts["dice"].detach())


def test_weights_by_name_are_computed_before_the_loss_is_built():
    with pytest.raises(UsageError, match="still 'auto'"):
        Supervised(student(), TaskRecipe(class_weights="auto"))


def test_rdd_follows_its_schedule(batch):
    model, source = student().eval(), Teacher(teacher())

    def task(progress, **options):
        objective = Distillation(
            model, source, TaskRecipe(weighting="difficulty", **{"min_kept": 0, "threshold": 0.2} | options), []
        ).eval()
        return float(objective(*batch, progress)["task"].detach())

    tfe, tse = task(0.0), task(0.9)
    assert task(0.09) == tfe and task(0.11) == tse and tfe != tse
    assert task(0.05, warmup=0.0) == tse
    alpha = (1 - 0.55) / 0.9
    assert task(0.55, blend=True) == pytest.approx(alpha * tfe + (1 - alpha) * tse, rel=1e-5)
    assert len({task(0.9, mode=mode) for mode in ("xor", "or", "and", "ohem")}) > 1
    assert task(0.9, reduction="all") < tse
    assert task(0.0, difficulty_map="confidence") != tfe and task(0.0, kl="paper") != tfe


def test_class_weights_as_the_public_code_has_them(batch):
    """None in TFE; in TSE the mean divides by their sum."""
    model, source, weights = student().eval(), Teacher(teacher()), [0.5, 1.0, 2.0, 1.5, 0.7]
    labels = batch[1]

    def task(progress, **options):
        recipe = TaskRecipe(weighting="difficulty", min_kept=0, threshold=0.2, mode="or", auxiliary=0.0, **options)
        return Distillation(model, source, recipe, []).eval()(*batch, progress)["task"].detach()

    code, ours = ({"class_weights": weights, "class_weighting": form} for form in ("code", "both"))
    assert task(0.0, **code) == task(0.0) != task(0.0, **ours)
    logits, of_teacher = (
        upsample(each(batch), labels.shape[-2:]) for each in (lambda b: model(model.normalize(b[0])).logits, lambda b: source(*b).logits)
    )
    p_s, p_t = (x.softmax(1).gather(1, labels.clamp_max(C - 1)[:, None])[:, 0] for x in (logits, of_teacher))
    chosen = (labels != 255) & ((p_s <= 0.2) | (p_t <= 0.2))
    expected = F.cross_entropy(logits, torch.where(chosen, labels, 255), torch.tensor(weights), ignore_index=255)
    torch.testing.assert_close(task(0.5, **code), expected.detach())
    share = torch.tensor(weights)[labels[chosen]].mean()
    torch.testing.assert_close(task(0.5, **ours), expected.detach() * share)


@pytest.mark.parametrize("weighting", ["plain", "difficulty"])
def test_a_group_is_what_one_gpu_sees(batch, weighting):
    model, source = student().eval(), Teacher(teacher())
    options = {"weighting": weighting, "min_kept": 500, "threshold": 0.1}
    whole, grouped = (Distillation(model, source, TaskRecipe(**options, group=group), []).eval() for group in (None, 1))
    labels = batch[1].clone()
    labels[0, :40] = 255
    for progress in (0.0, 0.5):
        alone = [whole(batch[0][i : i + 1], labels[i : i + 1], progress) for i in range(2)]
        both = grouped(batch[0], labels, progress)
        for name, part in both.items():
            torch.testing.assert_close(part, (alone[0][name] + alone[1][name]) / 2)
    assert not torch.isclose(both["task"], whole(batch[0], labels, 0.5)["task"])
    with pytest.raises(UsageError, match=r"task.group of 3 does not divide the 2 images"):
        Distillation(model, source, TaskRecipe(group=3), [])(*batch, 0.0)


def test_a_label_assisted_teacher_hears_the_label(batch):
    source = Teacher(teacher(in_channels=4), LabelNoiser(C))
    torch.manual_seed(0)
    first = source(*batch).logits
    torch.manual_seed(0)
    assert not torch.equal(source(batch[0], batch[1].flip(0)).logits, first)
    torch.manual_seed(0)
    assert torch.equal(source(*batch).logits, first)


def test_lad_teacher_draws_twice(batch):
    objective = LabelAssisted(student(in_channels=4), TaskRecipe(), LabelNoiser(C), consistency=5.0)
    parts = objective.train()(*batch, 0.0)
    assert set(parts) == {"task", "auxiliary", "consistency"} and float(parts["consistency"].detach()) > 0
    noiser = LabelNoiser(C)
    noiser.forward = lambda labels, seed: torch.zeros(len(labels), 1, *labels.shape[-2:])
    same = LabelAssisted(student(in_channels=4), TaskRecipe(), noiser).eval()(*batch, 0.0)
    assert abs(float(same["consistency"].detach())) < 1e-5


def test_lad_teacher_is_the_papers_sum_with_gradients_of_one_side_at_a_time(batch):
    """Both paths' CE + 0.4·CE(aux), and 5·[CWD_T4(o1, sg(o2)) + CWD_T4(o2, sg(o1))], written out with PyTorch's own functions."""
    image, labels = batch
    noises = [torch.randn(len(labels), 1, *labels.shape[-2:], generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    noiser = LabelNoiser(C)
    drawn = iter(noises * 2)
    noiser.forward = lambda labels, seed: next(drawn)
    model = student(in_channels=4)
    objective = LabelAssisted(model, TaskRecipe(), noiser).eval()  # without dropout, and with fixed statistics

    def gradients(loss):
        model.zero_grad()
        loss.backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    parts = objective(image, labels, 0.0)
    ours = gradients(sum(parts.values()))
    outputs = [model(torch.cat([model.normalize(image), noise], 1)) for noise in noises]

    def supervised(logits):
        return F.cross_entropy(F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True), labels, ignore_index=255)

    def divergence(student_logits, teacher_logits):
        log_s, log_t = ((logits / 4).flatten(2).flatten(0, 1).log_softmax(1) for logits in (student_logits, teacher_logits.detach()))
        return 16 * F.kl_div(log_s, log_t, log_target=True, reduction="batchmean")

    first, second = (output.logits for output in outputs)
    expected = {
        "task": supervised(first) + supervised(second),
        "auxiliary": 0.4 * sum(supervised(output.aux_logits) for output in outputs),
        "consistency": 5 * (divergence(first, second) + divergence(second, first)),
    }
    for name, value in expected.items():
        assert float(parts[name].detach()) == pytest.approx(float(value.detach()), rel=1e-4), name
    for mine, reference in zip(ours, gradients(sum(expected.values())), strict=True):
        torch.testing.assert_close(mine, reference, rtol=2e-3, atol=1e-5)


def test_the_consistency_term_may_wait(batch):
    model = student(in_channels=4)
    objective = LabelAssisted(model, TaskRecipe(), LabelNoiser(C), consistency_from=0.5).eval()
    assert [float(objective(*batch, progress)["consistency"].detach()) > 0 for progress in (0.0, 0.49, 0.5, 0.9)] == [
        False,
        False,
        True,
        True,
    ]


def test_the_label_channel_may_start_at_nothing(batch):
    model = student(in_channels=4)
    (first,) = [module for module in model.modules() if hasattr(module, "extra_inputs")]
    assert float(first.weight[:, 3:].detach().std()) == pytest.approx(0.1, rel=0.3)
    rgb = first.weight[:, :3].detach().clone()
    scale_extra_inputs(model, 0.0)
    assert torch.equal(first.weight[:, :3], rgb) and float(first.weight[:, 3:].detach().abs().max()) == 0


@pytest.mark.parametrize("kind", ["supervised", "label-assisted", "distillation"])
def test_detail_guidance_trains_the_stride_8_level_and_stays_out_of_the_student(batch, kind):
    task = TaskRecipe(detail=1.0)
    objective = {
        "supervised": lambda: Supervised(student(), task),
        "label-assisted": lambda: LabelAssisted(student(in_channels=4), task, LabelNoiser(C)),
        "distillation": lambda: Distillation(student(), Teacher(teacher()), task, []),
    }[kind]().train()
    parts = objective(*batch, 0.0)
    parts["detail"].backward()
    assert any(parameter.grad is not None for parameter in objective.student.backbone.parameters())
    assert all(parameter.grad is not None for parameter in objective.detail.parameters())
    assert not any("detail" in key for key in objective.student.state_dict())


def test_the_table_of_label_weights_is_the_codes():
    torch.testing.assert_close(LabelNoiser(21, weights="table").table, (torch.arange(22) - 11) / 10)


def test_label_weights_are_fresh_for_every_image():
    noised = LabelNoiser(C, sigma=0.0)(torch.zeros(4, 2, 2, dtype=torch.long), 0)
    assert len(noised[:, 0, 0, 0].unique()) == 4


@pytest.mark.parametrize(
    ("models", "task", "transfers", "message"),
    [
        (({}, {"auxiliary": False}), {"weighting": "difficulty"}, [], "difficulty_map=confidence"),
        (({"auxiliary": False}, {}), {}, ["dsd"], "this student has none"),
        (({}, {"auxiliary": False}), {}, ["dsd"], "this teacher has none"),
        (({}, {}), {}, ["cvd"], "did you mean 'cwd'"),
        (({}, {}), {"class_weights": [1.0]}, [], "1 values for 5 classes"),
    ],
)
def test_what_is_lacking_is_said_before_training(models, task, transfers, message):
    with pytest.raises(UsageError, match=message):
        Distillation(
            student(**models[0]), Teacher(teacher(**models[1])), TaskRecipe(**task), [TransferRecipe(method=name) for name in transfers]
        )


def test_one_method_twice_is_two_transfers(batch):
    listed = [{"method": "cwd"}, {"method": "cwd", "maps": "features"}, {"method": "cwd", "name": "sharp", "temperature": 1.0}]
    recipes = [TransferRecipe(**each) for each in listed]
    objective = Distillation(student(), Teacher(teacher()), TaskRecipe(), recipes).train()
    assert objective.weights == {"cwd": 3.0, "cwd-2": 50.0, "sharp": 3.0}
    parts = objective(*batch, 0.5)
    assert set(parts) == {"task", "auxiliary", "cwd", "cwd-2", "sharp"} and len({float(part.detach()) for part in parts.values()}) == 5
    assert "transfers.cwd-2.projection.weight" in objective.state_dict()


def test_a_name_that_was_chosen_stays_with_its_transfer():
    recipes = [TransferRecipe(method="pd"), TransferRecipe(method="pd", name="pd-2"), TransferRecipe(method="pd")]
    assert transfer_names(recipes) == ["pd", "pd-2", "pd-3"]
    with pytest.raises(UsageError, match="Two transfers have the name 'soft'"):
        transfer_names([TransferRecipe(method="pd", name="soft"), TransferRecipe(method="cwd", name="soft")])
    for taken in ("auxiliary", "boundary"):
        with pytest.raises(UsageError, match="another loss part's"):
            transfer_names([TransferRecipe(method="pd", name=taken)])
    assert transfer_names([TransferRecipe(method="own:Outer.Loss"), TransferRecipe(method="own:task")]) == ["Outer-Loss", "task-2"]


def test_unknown_options_of_a_transfer_are_named():
    recipe = TransferRecipe(method="cwd", temprature=2)
    with pytest.raises(UsageError, match=r"transfer cwd: unknown key 'temprature'; did you mean 'temperature'"):
        transfer_class(recipe)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cwd", "maps": "featurs"}, "maps: input should be 'logits' or 'features'"),
        ({"method": "pd", "temperature": 0}, "temperature: input should be greater than 0"),
        ({"method": "pd", "temperature": "hot"}, "temperature: input should be a valid number"),
        ({"method": "fakd-cwd", "covariance": "ful"}, "covariance: input should be 'diagonal' or 'full'"),
        ({"method": "cirkd", "pixels": 0}, "pixels: input should be greater than or equal to 1"),
    ],
)
def test_wrong_values_of_a_transfers_options_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        transfer_class(TransferRecipe(**options))


def test_the_adversary_and_the_student_do_not_feel_each_others_loss(batch):
    objective = Distillation(
        student(), Teacher(teacher()), TaskRecipe(), [TransferRecipe(method="adversarial", generator=0.0, width=8)]
    ).train()
    part = objective(*batch, 0.0)["adversarial"]
    part.backward()
    assert all(parameter.grad is None or float(parameter.grad.abs().sum()) == 0 for parameter in objective.student.parameters())
    assert len(objective.second_players()) > 0 and all(parameter.grad is not None for parameter in objective.second_players())
    objective.zero_grad()
    objective.transfers["adversarial"].generator, objective.transfers["adversarial"].judge = 1.0, 0.0
    objective(*batch, 0.0)["adversarial"].backward()
    assert float(objective.student.classifier.weight.grad.abs().sum()) > 0
    assert all(float(parameter.grad.abs().sum()) == 0 for parameter in objective.second_players())


def test_the_discriminator_is_the_published_one():
    """Batch norm on the raw scores, four spectrally normalised 4x4 convolutions, attention behind two of them, one 4x4 without padding."""
    judge = discriminator(19)
    assert isinstance(judge[0], torch.nn.BatchNorm2d)
    layers = [module for module in judge if isinstance(module, torch.nn.Conv2d)]
    assert [(layer.out_channels, layer.kernel_size, layer.stride, layer.padding) for layer in layers] == [
        *((width, (4, 4), (2, 2), (1, 1)) for width in (64, 128, 256, 512)),
        (1, (4, 4), (1, 1), (0, 0)),
    ]
    assert [hasattr(layer, "parametrizations") for layer in layers] == [True] * 4 + [False]
    with torch.no_grad():
        assert judge.eval()(torch.zeros(1, 19, 64, 128)).shape == (1, 1, 1, 5)


@pytest.mark.parametrize(("layout", "memory"), [("voc", 0.01), ("cityscapes", 0.1)])
def test_cirkds_memories_weigh_less_on_voc(layout, memory):
    _, module = build_transfer(TransferRecipe(method="cirkd", pixel_memory=4, region_memory=4), Widths(C, 8, 8, layout))
    assert module.weights == (1.0, memory, memory)
