"""Image sizes as text. Nothing heavy is imported here: command lines read sizes before anything else."""

from edgekd_runtime.errors import UsageError


def parse_size(text: str) -> tuple[int, int]:
    """``HxW`` → (height, width).

    Raises:
        UsageError: If the text is anything but two positive whole numbers joined by ``x``.
    """
    parts = text.lower().split("x")
    if len(parts) == 2 and all(part.isdecimal() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[1])
    raise UsageError(f"An image size is HEIGHTxWIDTH in pixels, e.g. 360x480, not {text!r}.")
