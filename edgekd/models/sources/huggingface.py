"""Semantic-segmentation models in HuggingFace's form, from a folder or by id: ``hf:nvidia/segformer-b0-…``, ``hf:/path``."""

import json
from typing import Any

from edgekd.config import ModelRecipe
from edgekd.models.backbone import IMAGENET_MEAN, IMAGENET_STD, turn_input
from edgekd.models.foreign import ForeignNetwork
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError

PREPROCESSOR = "preprocessor_config.json"


def build(recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> ForeignNetwork:
    """Load a model, with a new last layer if it has another number of classes; code of the repository is never run.

    The network's own recipe holds the configuration, so that a checkpoint of it needs neither folder nor hub.

    Raises:
        UsageError: If it has another number of classes, or the options ask for code of the repository.
        MissingError: If transformers is not installed.
        EdgeKDError: If the folder is missing or damaged, or the hub can't be reached.
    """
    try:
        from transformers import AutoConfig, AutoModelForSemanticSegmentation, logging
        from transformers.utils.hub import cached_file
    except ImportError as error:
        raise MissingError(f"{recipe.name} needs transformers: pip install 'edgekd[hf]'.") from error
    logging.set_verbosity_error()  # it reports new last layers as if something were wrong
    logging.disable_progress_bar()
    name, options = recipe.name.removeprefix("hf:"), dict(recipe.options)
    given = options.pop("config", None)
    for key, value in {**(given or {}), **options}.items():
        if (key == "trust_remote_code" and value) or (key.endswith("attn_implementation") and "/" in str(value)):
            raise UsageError(f"{recipe.name}: {key}={value!r} would run code of a repository, which is not supported; leave it out.")
    options.pop("trust_remote_code", None)
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    try:
        if given is not None and not pretrained:
            config = AutoConfig.for_model(**given)
            module = AutoModelForSemanticSegmentation.from_config(config)
        else:
            labels = {} if num_classes is None else {"num_labels": num_classes}
            module = AutoModelForSemanticSegmentation.from_pretrained(
                name, ignore_mismatched_sizes=True, trust_remote_code=False, **labels, **options
            )
            file = cached_file(name, PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
            if file is not None:
                with open(file, encoding="utf-8") as opened:  # noqa: PTH123  (a path of transformers' cache)
                    prepared = json.load(opened)
                if not prepared.get("do_normalize", "do_flip_channel_order" not in prepared):
                    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
                else:
                    mean, std = tuple(prepared.get("image_mean", mean)), tuple(prepared.get("image_std", std))
                if prepared.get("do_flip_channel_order"):  # MobileViT's
                    turn_input(module)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told = (str(error).strip() or repr(error)).splitlines()[0]
        raise EdgeKDError(
            f"{recipe.name} can't be loaded ({told}); give a folder with config.json and weights, or an id of the hub."
        ) from error
    if num_classes is not None and module.config.num_labels != num_classes:
        raise UsageError(f"{recipe.name} was made for {module.config.num_labels} classes, not {num_classes}.")
    document: dict[str, Any] = json.loads(module.config.to_json_string(use_diff=False))
    kept = recipe.model_copy(update={"options": {**options, "config": document}, "logits": recipe.logits or "logits"})
    named = module.config.id2label
    names = [str(named[index]) for index in range(len(named))] if named else None
    return ForeignNetwork(kept, module, num_classes, in_channels, mean=mean, std=std, class_names=names)
