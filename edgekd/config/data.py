"""The section `data`."""

from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from edgekd.config.base import Side, Strict


class DataRecipe(Strict):
    """Data set, splits and augmentation."""

    layout: str
    """Layout of the data set on disk, as `edgekd data layouts` lists them."""
    root: str | None = None
    """Folder of the data set."""
    options: dict[str, Any] = {}
    """Options of the layout, as its documentation names them."""
    train: str = "train"
    """Name of the split that is trained on."""
    val: str = "val"
    """Name of the split that is validated on."""
    labelled: int | None = Field(None, ge=1)
    """Number of labelled training samples to use, spread evenly over the split; None = all."""
    labels: Literal["data", "teacher"] = "data"
    """Where the labels come from: ``data``, human annotation; ``teacher``, the teacher's predictions in a label-free run, so that
    scores are agreement with the teacher."""
    unlabelled: list[str] = []
    """Folders, patterns such as ``frames/*.png`` and video files whose images are used for distillation without labels."""
    unlabelled_share: float = Field(0.5, gt=0, le=1)
    """Share of unlabelled images in each batch, 0–1; 1 = no labels are read."""
    frame_step: int = Field(1, ge=1)
    """Use every N-th frame of a video."""
    frame_rate: PositiveFloat | None = None
    """Frames to use per second of video, by its time stamps; None = use `frame_step`."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share at the end of each folder or video that is kept out of training, 0–1."""
    size: tuple[Side, Side]
    """Network input (H, W) in pixels for validation, export and latency."""
    crop: tuple[Side, Side] | None = None
    """Training crop (H, W) in pixels; None = `size`."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    """Range of the random scale factor in training."""
    scale_step: PositiveFloat | None = None
    """Step between the scale factors to draw from, e.g. 0.1; None = any factor in the range."""
    pad: Literal["sides", "end"] = "sides"
    """Padding of an image that is smaller than the crop: ``sides``, grey on all four sides, or ``end``, ImageNet's mean colour (0 after
    normalisation) at the right and bottom, as in the papers' code."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    color: float = Field(0.0, ge=0, lt=1)
    """Strength of brightness, contrast and saturation jitter, 0–1; 0 = none."""
    blur: float = Field(0.0, ge=0, le=1)
    """Probability of a Gaussian blur, σ from 0.1 to 2 pixels."""
    rare: float = Field(0.0, ge=0, le=1)
    """Share of crops that are drawn for a rare class: an image that contains it, cropped around one of its pixels; 0 = none."""
    workers: int | None = Field(None, ge=0)
    """Data-loading processes per training process; None = one fewer than the CPU cores, divided among the training processes."""

    @model_validator(mode="after")
    def _ordered(self) -> "DataRecipe":
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale goes from the smaller to the larger")
        if self.frame_rate is not None and self.frame_step > 1:
            raise ValueError("frame_step and frame_rate both choose the frames of a video; give one of them")
        return self

    @field_validator("unlabelled", mode="before")
    @classmethod
    def _one_source(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def share(self) -> Fraction:
        """`unlabelled_share` as whole numbers, so that positions are counted exactly."""
        return Fraction(self.unlabelled_share).limit_denominator(1000)
