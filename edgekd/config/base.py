"""What all sections share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

SMALLEST = 32
"""Smallest image side in pixels: at output stride 32 the deepest feature map is then a single pixel."""


def as_word(value: Any) -> Any:
    """A number where a word is wanted: YAML reads ``16`` as one, and a name or a folder may well be called so."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Strict(BaseModel):
    """Base of everything a YAML file may hold: unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, allow_inf_nan=False, coerce_numbers_to_str=True, use_attribute_docstrings=True
    )


Side = Annotated[int, Field(ge=SMALLEST, le=1 << 14)]
