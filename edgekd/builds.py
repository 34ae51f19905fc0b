"""PyTorch and torchvision have to be of one build: what to do where they are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from edgekd_runtime.errors import MissingError

INDEX = "https://download.pytorch.org/whl"


@contextmanager
def one_build() -> Iterator[None]:
    """Say in a sentence that torchvision can't be loaded beside a PyTorch of another build.

    Raises:
        MissingError: With the line that installs one that fits.
    """
    try:
        yield
    except RuntimeError as error:
        if "torchvision::" not in str(error):  # an operator of its own, which its libraries would have brought
            raise
        torch = version("torch")
        index = f" --index-url {INDEX}/{torch.partition('+')[2]}" if "+" in torch else ""
        raise MissingError(
            f"torchvision {version('torchvision')} does not go with PyTorch {torch}, which is of another build: "
            f"pip install --force-reinstall --no-deps torchvision{index}."
        ) from error
