"""Label maps in MATLAB files, as COCO-Stuff 10K and the Semantic Boundaries Dataset (SBD) distribute them."""

from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError, MissingError


def read_mat(path: str) -> NDArray[Any]:
    """The label map H×W of a `.mat` file: its variable `S` (COCO-Stuff 10K) or `GTcls.Segmentation` (SBD).

    Raises:
        MissingError: If SciPy is not installed.
        EdgeKDError: If the file is unreadable or holds no such map.
    """
    try:
        loadmat = import_module("scipy.io").loadmat
    except ImportError as error:
        raise MissingError(f"{path} is a MATLAB file, which needs SciPy: pip install scipy.") from error
    try:
        stored = loadmat(path)
    except Exception as error:  # a damaged file raises whatever SciPy's parser trips over
        raise EdgeKDError(f"{path} is not a readable MATLAB file ({error}); copy it again or remove it.") from error
    found = stored.get("S")
    if found is None and "GTcls" in stored and "Segmentation" in (stored["GTcls"].dtype.names or ()):
        found = stored["GTcls"]["Segmentation"][0, 0]
    if getattr(found, "ndim", 0) != 2 or found.dtype.kind not in "buif":
        raise EdgeKDError(f"{path} has no label map S or GTcls.Segmentation; take the label files of COCO-Stuff 10K or SBD.")
    return found
